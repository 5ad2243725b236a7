"""What does each model of the zoo learn from 6,000 real images in two minutes of CPU?

On two cores of an AMD EPYC, jax 0.10.2, one run, nothing else running; conv and conditional on 2026-11-26, the others
the day before:

    model          parameters  steps  CPU s   log p(x), k = 100, nats
    conv              379,684   1250    120    2049.2 +- 38.7
    mlp               406,928  22227    120    2063.6 +- 38.4
    resnet            377,953    829    120    2059.9 +- 38.5
    conditional       421,460   1260    120    2049.8 +- 38.7
    hierarchical      388,802    527    120    2004.0 +- 37.9   KL by layer 18.8, 23.0 nats
    ladder            594,897    812    120    2002.7 +- 38.5   KL by layer 22.2, 21.0 nats
    discrete        1,043,217    808    120    2005.0 +- 38.3
    vq                154,529    927    121    2009.5 +- 38.4   code perplexity 41 of 64

hierarchical, ladder, discrete and vq have the reference's networks at half their width, with which conv was at 2022.6
after 852 steps. With normalisation by groups resnet was at 1783.6 after 612 steps.

That conditional is above conv is this seed's luck: a label can be worth no more than log 10 = 2.3 nats, and seeds
differ by more. Each on a core of its own, seed 1: conv 2050.9 (1344 steps), conditional 2046.0 (1273); seed 2:
conditional 2052.2 (1230).

    python benchmarks/zoo_table.py                 every model, half an hour on two quiet cores
    python benchmarks/zoo_table.py conv vq         some of them

Every model has the same likelihood (continuous Bernoulli on dequantised pixels), optimiser (Adam, 1e-3, batches of
64, averaged weights) and the same CPU time, compilation included; a prior that is fitted afterwards comes on top. The
log-likelihood is that of the first held-out images with 100 draws each; for `vq` the exact joint density of image and
codes, which bounds it from below as the others do.
"""

import argparse
import time

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
import optax

import zoo
from zoo import data, estimators, models, nn, objectives, penalties, priors, train


BUDGET = 120.0
HELD_OUT = 250
SHAPE, LATENT = (1, 28, 28), 16
POOLED = nn.convolutional(width_size=16)


def mixture(key):
    return priors.MixtureOfNormals(LATENT, 64, key=key)


MODELS = {
    "conv": lambda key: zoo.ConvVAE(SHAPE, LATENT, prior=mixture(key), key=key),
    "mlp": lambda key: zoo.MLPVAE(
        SHAPE, LATENT, likelihood=zoo.likelihoods.continuous_bernoulli, prior=mixture(key), key=key
    ),
    "resnet": lambda key: zoo.ResNetVAE(SHAPE, LATENT, prior=mixture(key), key=key),
    "conditional": lambda key: zoo.ConditionalVAE(SHAPE, LATENT, num_classes=10, prior=mixture(key), key=key),
    "hierarchical": lambda key: zoo.HierarchicalVAE(SHAPE, (64, LATENT), networks=POOLED, key=key),
    "ladder": lambda key: zoo.HierarchicalVAE(SHAPE, (64, LATENT), inference=models.TopDown, networks=POOLED, key=key),
    "discrete": lambda key: zoo.DiscreteVAE(SHAPE, 32, 10, networks=POOLED, prior=priors.Categorical(32, 10), key=key),
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
        epochs=1000,
        stop=lambda history: time.process_time() - start > BUDGET,
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


def remark(name, model, xs, *, key):
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
    xs = images.test_images[:HELD_OUT]
    print(f"{'model':14}{'parameters':>11}{'steps':>7}{'CPU s':>7}   log p(x), k = 100, nats", flush=True)
    for seed in range(arguments.seeds):
        for name in arguments.names or MODELS:
            model, seconds, steps = learn(name, images, key=jr.key(seed))
            ys = images.test_labels[:HELD_OUT] if name == "conditional" else None
            nats = np.asarray(
                zoo.log_likelihood(model, xs, ys=ys, k=100, observe=data.dequantise, key=jr.key(1)), np.float64
            )
            count = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))
            error = nats.std(ddof=1) / HELD_OUT**0.5
            text = f"{name:14}{count:11,}{steps:7}{seconds:7.0f}   {nats.mean():7.1f} +- {error:.1f}"
            print(f"{text}   {remark(name, model, xs, key=jr.key(2))}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
