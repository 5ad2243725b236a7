"""What does `fit` add to the bare jitted steps of an epoch: data, keys, metrics, progress bar, checkpoints?

    python benchmarks/epoch_overhead.py [--rounds 7]

The default job keeps a checkpoint every 100 steps; the small network as many as `fit` allows itself, for a hundred of
its steps take less time than ten saves.

Answer: hardly anything: many steps to a Python call save as much as the rest costs, or more. In `speed.py` on two cores
of an Intel Xeon, jax 0.10.2, 2026-11-27, nothing else running, one run:

    milliseconds an epoch                               ours    theirs   ratio    must    aim
    the default job, 125 steps of 32                 3830.24   3755.29    1.02    1.05   1.02  aim met
    784-200-200-50, 200 of 20                         315.10    467.51    0.67    1.05   1.02  aim met
"""

import tempfile

from interleave import HEADER, medians, parser, start_jax, timer, verdict


def main():
    arguments = parser(__doc__).parse_args()
    print(start_jax(arguments.devices))
    print(HEADER.replace("a step", "an epoch"))
    for name, job in (("the default job, 125 steps of 32", default_job()), ("784-200-200-50, 200 of 20", mlp_job())):
        took = medians(contenders(*job), rounds=arguments.rounds, seconds=arguments.seconds)
        print(verdict(name, took["fit"], took["steps"], 1.05, 1.02), flush=True)


def default_job():
    import jax.random as jr

    import zoo

    prior = zoo.priors.MixtureOfNormals(8, 64, key=jr.key(0))
    model = zoo.ConvVAE((1, 28, 28), 8, prior=prior, key=jr.key(0))
    return model, zoo.data.fashion_mnist_mini().train_images[:4_000], 32, 100


def mlp_job():
    import jax.random as jr

    import zoo

    model = zoo.MLPVAE((1, 28, 28), 50, width_size=200, likelihood=zoo.likelihoods.continuous_bernoulli, key=jr.key(0))
    return model, zoo.data.fashion_mnist_mini().train_images[:4_000], 20, None


def contenders(model, images, batch_size, checkpoint_every):
    """An epoch of `fit`, and as many calls of `zoo.step` on one batch that lies ready."""
    import jax
    import jax.random as jr
    import optax

    import zoo

    adam = optax.adam(1e-3)
    batch = jax.vmap(lambda x, key: zoo.data.dequantise(x, key=key))(
        images[:batch_size], jr.split(jr.key(1), batch_size)
    )

    def fit(epochs):
        with tempfile.TemporaryDirectory() as run:
            zoo.fit(
                model, images, observe=zoo.data.dequantise, optimiser=adam, batch_size=batch_size, epochs=epochs,
                checkpoint=run, checkpoint_every=checkpoint_every, progress=True, key=jr.key(2),
            )  # fmt: skip

    def steps(epochs):
        state = zoo.TrainState(model, adam, key=jr.key(3))
        for _ in range(epochs * (len(images) // batch_size)):
            state, metrics = zoo.step(state, batch, objective=zoo.objectives.elbo, optimiser=adam)
        jax.block_until_ready(state)

    return {"fit": timer(fit), "steps": timer(steps)}


if __name__ == "__main__":
    main()
