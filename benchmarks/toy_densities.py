"""Can VAEs model simple toy densities? Eight Gaussians, KL(true || model) in nats.

Yes, where the piece that is missing is put in: a learned scale, a curved decoder and the IWAE bound under N(0, I); or a
mixture of normals as the prior. Two cores of an AMD EPYC, jax 0.10.2, 2026-11-25 ("largest gap": nats between
importance sampling and quadrature, at one point):

    standard  seed 0   34 s of CPU   KL  0.0142 +- 0.0015 nats   largest gap 0.343
    standard  seed 1   27 s of CPU   KL  0.0129 +- 0.0019 nats   largest gap 0.072
    standard  seed 2   26 s of CPU   KL  0.0128 +- 0.0014 nats   largest gap 0.293
    mixture   seed 0   21 s of CPU   KL -0.0002 +- 0.0005 nats   largest gap 0.013
    mixture   seed 1   21 s of CPU   KL  0.0041 +- 0.0018 nats   largest gap 0.011
    mixture   seed 2   19 s of CPU   KL  0.0009 +- 0.0008 nats   largest gap 0.010

    python benchmarks/toy_densities.py                 three seeds of each prior, about five minutes
    python benchmarks/toy_densities.py --figure FILE   and the densities side by side, as a picture

The divergence is the mean of log p_true(x) - log p(x) over fresh points; log p(x) by importance sampling with 5000
draws of z for each point, and for some of the points by quadrature over the two dimensions of z as well.
"""

import argparse
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

import zoo
from zoo import estimators, likelihoods, nn, objectives


TRUTH = zoo.data.eight_gaussians


def trained(model, xs, *, k, epochs, learning_rate, key):
    """IWAE with the doubly reparameterised gradient, the rate falling along a cosine."""
    steps = epochs * (len(xs) // 250)
    return zoo.fit(
        model,
        xs,
        objective=objectives.iwae,
        k=k,
        estimator=estimators.dreg,
        optimiser=optax.adam(optax.cosine_decay_schedule(learning_rate, steps)),
        batch_size=250,
        epochs=epochs,
        progress=False,
        key=key,
    ).model


def standard(xs, *, key):
    """N(0, I) has to be bent into eight islands: a curved decoder, a learned scale, and the bound that forgives q."""
    build_key, fit_key = jr.split(key)
    model = zoo.MLPVAE(
        2, 2, width_size=64, depth=3, activation=jnp.tanh, likelihood=likelihoods.gaussian_shared(1.0), key=build_key
    )
    return trained(model, xs, k=10, epochs=14, learning_rate=5e-3, key=fit_key)


def mixture(xs, *, key):
    """A mixture has islands already: an affine decoder, the prior fitted to the codes, then both together."""
    build_key, decoder_key, first_key, prior_key, last_key = jr.split(key, 5)
    model = zoo.MLPVAE(2, 2, width_size=64, activation=jnp.tanh, likelihood=likelihoods.gaussian(0.1), key=build_key)
    decoder = nn.MLP((2,), (2,), width_size=1, depth=0, activation=jnp.tanh, key=decoder_key)
    model = eqx.tree_at(lambda m: m.decoder, model, decoder)
    model = trained(model, xs, k=1, epochs=3, learning_rate=3e-3, key=first_key)
    model = zoo.fit_prior(model, xs, components=16, key=prior_key)
    return trained(model, xs, k=5, epochs=20, learning_rate=3e-3, key=last_key)


MODELS = {"standard": standard, "mixture": mixture}


@eqx.filter_jit
def by_quadrature(model, xs, *, size=600, reach=6.0):
    """log p(x) by the trapezium rule over a square of z that holds the prior."""
    zs = jax.vmap(lambda key: model.prior.sample(key=key))(jr.split(jr.key(0), 5000))
    centre, spread = jnp.mean(zs, axis=0), jnp.std(zs, axis=0)
    axes = centre[:, None] + spread[:, None] * jnp.linspace(-reach, reach, size)[None]
    grid = jnp.stack(jnp.meshgrid(axes[0], axes[1]), axis=-1).reshape(-1, 2)
    cell = jnp.prod(axes[:, 1] - axes[:, 0])
    params, log_prior = jax.vmap(model.decode)(grid), jax.vmap(model.prior.log_prob)(grid)

    def log_density(x):
        log_joint = log_prior + jax.vmap(lambda p: model.likelihood.log_prob(p, x))(params)
        return jax.nn.logsumexp(log_joint) + jnp.log(cell)

    return jax.lax.map(log_density, xs, batch_size=20)


def divergence(model, *, n=4000, checked=200, key):
    """KL(true || model), its standard error, and the largest difference of the two ways to log p(x)."""
    points_key, key = jr.split(key)
    xs = TRUTH(n, key=points_key)
    log_p = zoo.log_likelihood(model, xs, k=5000, key=key)
    difference = np.asarray(jax.vmap(TRUTH.log_density)(xs) - log_p, np.float64)
    gap = np.abs(np.asarray(by_quadrature(model, xs[:checked]) - log_p[:checked])).max()
    return difference.mean(), difference.std() / n**0.5, gap


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("priors", nargs="*", help="standard, mixture; both unless given")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--figure")
    args = parser.parse_args()
    models = {}
    for name in args.priors or MODELS:
        for seed in range(args.seeds):
            key = jr.key(seed)
            xs = np.asarray(TRUTH(100_000, key=jr.fold_in(key, 1)))
            start = time.process_time()
            model = MODELS[name](xs, key=jr.fold_in(key, 2))
            seconds = time.process_time() - start
            value, error, gap = divergence(model, key=jr.key(1000))
            models.setdefault(name, model)
            print(
                f"{name:9} seed {seed}  {seconds:3.0f} s of CPU   KL {value:7.4f} +- {error:.4f} nats   "
                f"importance sampling against quadrature: at most {gap:.3f} nats apart",
                flush=True,
            )
    if args.figure:
        figure(models, args.figure)


def figure(models, path):
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    bounds = (-6.5, 6.5)
    fig, axes = plt.subplots(1, 2 * len(models), figsize=(9 * len(models), 4.5))
    for pair, (name, model) in zip(axes.reshape(-1, 2), models.items(), strict=True):
        density = zoo.plots.model_log_density(model, bounds=bounds, k=20_000, key=jr.key(0))
        zoo.plots.density_2d(density, TRUTH.log_density, bounds=bounds, axes=pair)
        pair[0].set_title(f"{name} prior")
    fig.savefig(path, dpi=80, bbox_inches="tight")


if __name__ == "__main__":
    main()
