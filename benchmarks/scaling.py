"""Does time grow no faster than k, n and the latent size do?

    python benchmarks/scaling.py [--rounds 5]

784-200-200-50, every number twice the one before. The growth is the ratio of two successive times, of which the
second should be at most 2.2 times the first: 1.1 times linear, from the second point on.

Answer: yes. `--rounds 3 --seconds 1` on two cores of an Intel Xeon, jax 0.10.2, 2026-11-27, nothing else running, once:

    milliseconds                                                             growth over linear: must be at most 1.10
    a training step, k = 25, 50, 100, 200                   22.80    61.31   118.97   251.01     1.34  0.97  1.05  met
    a training step, examples n = 50, 100, 200, 400         21.54    59.01   117.44   251.61     1.37  1.00  1.07  met
    a training step, latent size = 50, 100, 200, 400        59.74    61.63    68.19    89.61     0.52  0.55  0.66  met
    log_likelihood, k = 500, 1000, 2000, 4000              185.51   343.92   670.61  1227.91     0.93  0.97  0.92  met
    log_likelihood, examples n = 50, 100, 200, 400         175.42   360.73   700.50  1374.65     1.03  0.97  0.98  met

While the last block of examples and the last chunk of draws were filled up to the size of the others, k = 4000 took
2173 ms and n = 400 1782.
"""

from interleave import medians, parser, repeated, start_jax


def main():
    arguments = parser(__doc__, rounds=5).parse_args()
    print(start_jax(arguments.devices))
    print(f"{'milliseconds':40s}{'':>30s}   growth over linear: must be at most 1.10")
    for question, make, points in (
        ("a training step, k =", lambda k: training_step(k=k), (25, 50, 100, 200)),
        ("a training step, examples n =", lambda n: training_step(batch=n), (50, 100, 200, 400)),
        ("a training step, latent size =", lambda size: training_step(latent_size=size), (50, 100, 200, 400)),
        ("log_likelihood, k =", lambda k: scoring(k=k), (500, 1_000, 2_000, 4_000)),
        ("log_likelihood, examples n =", lambda n: scoring(n=n), (50, 100, 200, 400)),
    ):
        timers = {str(point): make(point) for point in points}
        took = list(medians(timers, rounds=arguments.rounds, seconds=arguments.seconds).values())
        growth = [b / a / 2 for a, b in zip(took[:-1], took[1:])]
        word = "met" if max(growth[1:]) <= 1.1 else "missed"
        row = "".join(f"{1e3 * seconds:9.2f}" for seconds in took), "".join(f"{ratio:6.2f}" for ratio in growth)
        print(f"{question} {', '.join(map(str, points)):24s}".ljust(52) + f"{row[0]}   {row[1]}  {word}", flush=True)


def mlp(latent_size=50):
    import jax.numpy as jnp
    import jax.random as jr

    import zoo

    bernoulli = zoo.likelihoods.bernoulli
    return zoo.MLPVAE(784, latent_size, width_size=200, activation=jnp.tanh, likelihood=bernoulli, key=jr.key(0))


def images(n):
    import jax.numpy as jnp
    import jax.random as jr

    return (jr.uniform(jr.key(1), (n, 784)) < 0.3).astype(jnp.float32)


def training_step(*, k=50, batch=100, latent_size=50):
    import jax
    import jax.random as jr
    import optax

    import zoo

    adam, xs = optax.adam(1e-3), images(batch)
    state = zoo.TrainState(mlp(latent_size), adam, key=jr.key(2))

    def step():
        nonlocal state
        state, metrics = zoo.step(state, xs, objective=zoo.objectives.iwae, optimiser=adam, k=k)
        return metrics

    return repeated(step, jax.block_until_ready)


def scoring(*, k=1_000, n=100):
    import jax
    import jax.random as jr

    import zoo

    model, xs = mlp(), images(n)
    return repeated(lambda: zoo.log_likelihood(model, xs, k=k, key=jr.key(2)), jax.block_until_ready)


if __name__ == "__main__":
    main()
