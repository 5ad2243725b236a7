"""What does each model of the zoo learn from 6,000 real images in two minutes of CPU?

On two cores of an AMD EPYC, jax 0.10.2, 2026-11-26, one run, two rows at a time:

    model          parameters  steps  CPU s   log p(x), k = 100, nats
    conv              379,684   1116    103    2045.3 +- 18.3
    mlp               406,928  17298    103    2040.8 +- 18.4
    resnet            377,953    744    110    2044.7 +- 18.3
    conditional       421,460   1116    106    2052.9 +- 18.3   7.5 +- 0.7 above conv
    hierarchical      877,813    744    107    2015.2 +- 18.2   KL by layer 12.4, 22.5 nats
    ladder          1,196,804    930    122    1991.6 +- 18.4   KL by layer 14.3, 16.7 nats
    discrete        2,234,692    930    110    1989.4 +- 18.2
    vq                154,529    558    111    1973.5 +- 18.3   code perplexity 30 of 64

A label is worth log 10 = 2.3 nats at most when all is learned, and beside that it may speed learning up. Two more seeds
(`--seeds 3 conv conditional`):

    conv           2057.5 2058.7
    conditional    2058.4 2063.3   0.9 +- 0.6 and 4.6 +- 0.7 above conv

    python benchmarks/zoo_table.py                 every model, half an hour on two quiet cores
    python benchmarks/zoo_table.py conv vq         some of them
    python benchmarks/zoo_table.py --seeds 3 conv conditional

Every model has the same likelihood (continuous Bernoulli on dequantised pixels), optimiser (Adam, 1e-3, batches of
64, averaged weights) and as many epochs as went into two minutes of CPU on that machine, compilation included, so that
the table does not depend on the machine's hour; a prior that is fitted afterwards comes on top. The log-likelihood is
that of the held-out images with 100 draws each; for `vq` the exact joint density of image and codes, which bounds it
from below as the others do.
"""

import argparse
import time

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
import optax

import zoo
from zoo import data, estimators, models, objectives, penalties, priors, train


# Of 93 steps each: what two minutes of CPU were enough for.
EPOCHS = dict(conv=12, mlp=186, resnet=8, conditional=12, hierarchical=8, ladder=10, discrete=10, vq=6)
SHAPE, LATENT = (1, 28, 28), 16


def mixture(key):
    return priors.MixtureOfNormals(LATENT, 64, key=key)


MODELS = {
    "conv": lambda key: zoo.ConvVAE(SHAPE, LATENT, prior=mixture(key), key=key),
    "mlp": lambda key: zoo.MLPVAE(
        SHAPE, LATENT, likelihood=zoo.likelihoods.continuous_bernoulli, prior=mixture(key), key=key
    ),
    "resnet": lambda key: zoo.ResNetVAE(SHAPE, LATENT, prior=mixture(key), key=key),
    "conditional": lambda key: zoo.ConditionalVAE(SHAPE, LATENT, num_classes=10, prior=mixture(key), key=key),
    "hierarchical": lambda key: zoo.HierarchicalVAE(SHAPE, (64, LATENT), key=key),
    "ladder": lambda key: zoo.HierarchicalVAE(SHAPE, (64, LATENT), inference=models.TopDown, key=key),
    "discrete": lambda key: zoo.DiscreteVAE(SHAPE, 32, 10, prior=priors.Categorical(32, 10), key=key),
    "vq": lambda key: zoo.VQVAE(SHAPE, codebook_size=64, code_size=16, width_size=16, key=key),
}
VECTOR = ("conv", "mlp", "resnet", "conditional")


def learn(name, images, *, key):
    """The trained model, its CPU seconds and its steps."""
    build_key, fit_key, prior_key = jr.split(key, 3)
    start = time.process_time()
    model = MODELS[name](build_key)
    optimiser = train.average(optax.adam(1e-3))
    ys = images.train_labels if name == "conditional" else None
    result = zoo.fit(
        model,
        images.train_images,
        ys=ys,
        objective=objectives.elbo,
        estimator=estimators.reparameterised if name in ("discrete", "vq") else estimators.stl,
        penalties=[penalties.commitment] if name == "vq" else [],
        observe=data.dequantise,
        optimiser=optimiser,
        batch_size=64,
        epochs=EPOCHS[name],
        progress=False,
        key=fit_key,
    )
    seconds = time.process_time() - start
    model = train.averaged(result.state)
    examples = dict(xs=images.train_images, ys=ys, observe=data.dequantise, key=prior_key)
    if name in VECTOR:
        model = zoo.fit_prior(model, **examples)
    if name == "vq":
        model = zoo.fit_prior(model, **examples, prior=priors.Autoregressive((7, 7), 64, key=prior_key), epochs=15)
    return model, seconds, int(result.state.step)


def remark(name, model, xs, scores, *, key):
    """What else is to be said of this model, whose row comes after those in `scores`, nats by name and image."""
    if name == "conditional" and "conv" in scores:
        gain = scores["conditional"] - scores["conv"]
        return f"{gain.mean():.1f} +- {gain.std(ddof=1) / len(gain) ** 0.5:.1f} above conv"
    if name in ("hierarchical", "ladder"):
        layers = zoo.evaluate.kl_per_layer(model, xs, observe=data.dequantise, key=key)
        return "KL by layer " + ", ".join(f"{value:.1f}" for value in np.asarray(layers).mean(0)) + " nats"
    if name == "vq":
        usage = zoo.evaluate.code_usage(model, xs, observe=data.dequantise, key=key)
        return f"code perplexity {float(usage.perplexity):.0f} of 64"
    return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="MODEL", help=f"{', '.join(MODELS)}; all unless given")
    parser.add_argument("--seeds", type=int, default=1, help="how often each is trained")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(MODELS):
        parser.error(f"no such model: {', '.join(sorted(unknown))}; there are {', '.join(MODELS)}")
    images = data.fashion_mnist_mini()
    xs = images.test_images
    print(f"{'model':14}{'parameters':>11}{'steps':>7}{'CPU s':>7}   log p(x), k = 100, nats", flush=True)
    for seed in range(arguments.seeds):
        scores = {}
        for name in arguments.names or MODELS:
            model, seconds, steps = learn(name, images, key=jr.key(seed))
            ys = images.test_labels if name == "conditional" else None
            scores[name] = nats = np.asarray(
                zoo.log_likelihood(model, xs, ys=ys, k=100, observe=data.dequantise, key=jr.key(1)), np.float64
            )
            count = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))
            error = nats.std(ddof=1) / len(nats) ** 0.5
            text = f"{name:14}{count:11,}{steps:7}{seconds:7.0f}   {nats.mean():7.1f} +- {error:.1f}"
            print(f"{text}   {remark(name, model, xs, scores, key=jr.key(2))}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
