"""How noisy is each estimator of the encoder's gradient, and what does it cost?

DReG keeps its signal as k grows, where IWAE's falls to the noise floor of the measurement (.8 over the
root of the number of replicates: .0025, .0025, .006, .008); STL's is larger still, but of a biased gradient
(|z| averages .8 where there is no bias). DReG costs what IWAE costs.

`python benchmarks/estimators.py`, 2-core x86 CPU, jax 0.10.2, 2026-11-22:

    Signal-to-noise of the encoder's gradient; mean |z| of the bias against IWAE's gradient
        k    ELBO    IWAE     STL    DReG   |z| STL  |z| DReG
        1   0.121   0.121   0.482   0.482      0.94      0.94
       10   0.381   0.039   1.158   0.774    105.54      0.97
      100   1.209   0.012   3.578   2.307    166.42      0.66
     1000   3.800   0.008  11.258   7.244    375.30      0.92

    Cost of a gradient (784-200-200-50 tanh; batch 20, at k = 1000 batch 4), DReG against IWAE
        k   IWAE ms   DReG ms    time   FLOPs
       10      5.27      5.30   1.002  0.9995
       50     14.14     14.20   1.007  0.9998
      100     25.85     25.98   1.006  1.0002
     1000     67.70     70.35   1.028  1.0038

On 2026-11-25, with other work on the machine, time 1.005, 1.000, 1.001 and 1.007 of IWAE's, the FLOPs the same.
"""

import math
import statistics
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from zoo import estimators, objectives
from zoo._draws import Proposal
from zoo.posteriors import DiagonalNormal
from zoo.priors import StandardNormal


LATENT = 10
COLUMNS = {
    "ELBO": (objectives.elbo, estimators.reparameterised),
    "IWAE": (objectives.iwae, estimators.reparameterised),
    "STL": (objectives.iwae, estimators.stl),
    "DReG": (objectives.iwae, estimators.dreg),
}


def linear_gaussian(encoder, x, objective, estimator, k, key):
    """p(z) = N(0, I), p(x | z) = N(z, I), q(z | x) = N(A x + b, 2/3 I): Rainforth et al. 2018, section 4."""
    weight, bias = encoder
    q = DiagonalNormal(weight @ x + bias, jnp.full(LATENT, 0.5 * math.log(2 / 3)))
    proposal = Proposal(
        z=jax.vmap(lambda key: q.sample(key=key))(jr.split(key, k)),
        posterior=q,
        log_likelihood=lambda z: -0.5 * jnp.sum((x - z) ** 2) - 0.5 * LATENT * math.log(2 * math.pi),
        log_prior=StandardNormal(LATENT).log_prob,
    )
    return estimator(objective, proposal)[0]


def signal_to_noise(k, replicates):
    """The ratio's mean over A and b, for each column, and |z| of the mean difference from IWAE's gradient."""
    noise = jr.normal(jr.key(0), (LATENT + 1, LATENT))
    encoder = (0.5 * jnp.eye(LATENT) + 0.03 * noise[1:], 0.03 * noise[0])
    x = math.sqrt(2) * jr.normal(jr.key(1), (LATENT,))
    ratios, gradients = {}, {}
    chunk = min(replicates, 200_000 // k)
    for name, (objective, estimator) in COLUMNS.items():

        @jax.jit
        def slopes(keys, objective=objective, estimator=estimator):
            slope = jax.grad(lambda e, key: linear_gaussian(e, x, objective, estimator, k, key))
            weight, bias = jax.vmap(slope, in_axes=(None, 0))(encoder, keys)
            return jnp.concatenate([weight.reshape(len(keys), -1), bias], axis=1)

        keys = jr.split(jr.key(2), replicates)
        samples = [np.asarray(slopes(keys[i : i + chunk])) for i in range(0, replicates - chunk + 1, chunk)]
        gradients[name] = np.concatenate(samples).astype(np.float64)
        ratios[name] = np.mean(np.abs(gradients[name].mean(0)) / gradients[name].std(0))

    def z_score(name):
        difference = gradients[name] - gradients["IWAE"]
        return np.mean(np.abs(difference.mean(0)) / (difference.std(0) / math.sqrt(len(difference)) + 1e-12))

    return ratios, z_score("STL"), z_score("DReG")


def cost(k, batch_size=20, repeats=40):
    """Median time and FLOPs of a gradient of the IWAE paper's network, DReG against plain, interleaved."""
    encoder = eqx.nn.MLP(784, 100, 200, 2, jnp.tanh, key=jr.key(0))
    decoder = eqx.nn.MLP(50, 784, 200, 2, jnp.tanh, key=jr.key(1))
    xs = (jr.uniform(jr.key(2), (batch_size, 784)) < 0.3).astype(jnp.float32)

    def one(model, x, key, estimator):
        encoder, decoder = model
        q = DiagonalNormal.from_params(encoder(x))

        def log_likelihood(z):
            logits = decoder(z)
            return jnp.sum(x * logits - jax.nn.softplus(logits))

        z = jax.vmap(lambda key: q.sample(key=key))(jr.split(key, k))
        prior = StandardNormal(50)
        return estimator(objectives.iwae, Proposal(z, q, log_likelihood, prior.log_prob))[0]

    arrays, static = eqx.partition((encoder, decoder), eqx.is_array)
    compiled = {}
    for estimator in (estimators.reparameterised, estimators.dreg):

        def loss(arrays, key, estimator=estimator):
            model = eqx.combine(arrays, static)
            keys = jr.split(key, batch_size)
            return -jnp.mean(jax.vmap(lambda x, key: one(model, x, key, estimator))(xs, keys))

        compiled[estimator] = jax.jit(jax.value_and_grad(loss)).lower(arrays, jr.key(0)).compile()
    plain, dreg = (f.cost_analysis()["flops"] for f in compiled.values())
    times = {estimator: [] for estimator in compiled}
    for repeat in range(repeats):
        for estimator, f in compiled.items():
            start = time.perf_counter()
            jax.block_until_ready(f(arrays, jr.key(repeat)))
            times[estimator].append(time.perf_counter() - start)
    plain_time, dreg_time = (statistics.median(ts[3:]) for ts in times.values())
    ratio = statistics.median(b / a for a, b in list(zip(*times.values(), strict=True))[3:])
    return plain_time, dreg_time, ratio, dreg / plain


def main():
    print("Signal-to-noise of the encoder's gradient; mean |z| of the bias against IWAE's gradient")
    print(f"{'k':>5}" + "".join(f"{name:>8}" for name in COLUMNS) + f"{'|z| STL':>10}{'|z| DReG':>10}")
    for k, replicates in [(1, 100_000), (10, 100_000), (100, 20_000), (1000, 10_000)]:
        ratios, stl, dreg = signal_to_noise(k, replicates)
        print(f"{k:>5}" + "".join(f"{r:8.3f}" for r in ratios.values()) + f"{stl:10.2f}{dreg:10.2f}")
    print("\nCost of a gradient (784-200-200-50 tanh; batch 20, at k = 1000 batch 4), DReG against IWAE")
    print(f"{'k':>5}{'IWAE ms':>10}{'DReG ms':>10}{'time':>8}{'FLOPs':>8}")
    for k in (10, 50, 100, 1000):
        plain, dreg, time_ratio, flops = cost(k, batch_size=20 if k < 1000 else 4)
        print(f"{k:>5}{1e3 * plain:10.2f}{1e3 * dreg:10.2f}{time_ratio:8.3f}{flops:8.4f}")


if __name__ == "__main__":
    main()
