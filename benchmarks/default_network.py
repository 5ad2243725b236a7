"""Which network learns most in three minutes of a CPU?

    python benchmarks/default_network.py [--minutes 3] [--seeds 3] [NETWORK ...]

Answer: networks that halve the image before their convolutions (`zoo.nn.strided`): at half the time they are 700 nats
above where the reference ends, and so they are what `ConvVAE` has unless told otherwise. Three seeds, the whole of
Fashion-MNIST, `--devices 1`, each of the two networks on a core of its own, at the same time and with nothing else
running; two cores of an AMD EPYC, jax 0.10.2, 2026-11-26; nats of the first 128 held out, k = 100:

                                at half the time                  at its end
    reference               991.6 (989.6 to 992.7)    1290.4 (1276.4 to 1305.9)    155 to 171 steps
    strided                1978.3 (1968.7 to 1983.3)  2030.5 (2023.4 to 2034.1)   1128 to 1166 steps

How an activation is scaled decides much of that. As it is, it keeps the variance of standard normals, so that what
differs between examples reaches the last layer at full size. The strided networks' means at half the time and at the
end were 1947.7 and 2003.1 with GELU as it comes. When it kept the mean square, two of twelve seeds started badly
(three epochs of the small set, ELBO: 1761 and 1821, the others 1834 to 1862; the same two now: 1862 and 1851).

Other networks, all with GELU as it comes or their own activations: on both cores and one seed, with `--devices 2`, the
day before, the reference 1318.3 and 1512.9 (360 steps), residual networks 2004.3 and 2050.4 (1389). In one minute on
both cores, seed 0, once each and on a slower day: residual 1949.8, strided with SELU 1954.4, with SiLU 1961.8; at half
the width, with SELU 1965.5, SiLU 1992.3, GELU 1999.9, leaky ReLU 2004.4; strided with batch normalisation 1468.1.
Normalisation by a batch's or an image's own moments hides from the decoder how bright an image is.
"""

import argparse
import statistics
import tempfile
import time

from interleave import start_jax


BATCH, LATENT, HELD_OUT, DRAWS = 128, 8, 128, 100


def networks():
    import zoo

    shape = (1, 28, 28)
    pooled = zoo.nn.convolutional
    return {
        "reference": lambda key: zoo.ConvVAE(shape, LATENT, networks=pooled(norm="batch"), key=key),
        "reference, no norm": lambda key: zoo.ConvVAE(shape, LATENT, networks=pooled(), key=key),
        "strided": lambda key: zoo.ConvVAE(shape, LATENT, key=key),
        "strided, half": lambda key: zoo.ConvVAE(shape, LATENT, width_size=16, key=key),
        "residual": lambda key: zoo.ResNetVAE(shape, LATENT, key=key),
    }


def learn(model, images, minutes, devices, *, key):
    """The steps and the frozen model at half the time and at its end. Compilation is part of the time."""
    import optax

    import zoo

    adam = optax.adam(1e-3)
    mesh = None if devices == 1 else zoo.train.data_mesh(devices)
    with tempfile.TemporaryDirectory() as run:
        for _ in range(2):
            started = time.perf_counter()
            result = zoo.fit(
                model, images, objective=zoo.objectives.elbo, observe=zoo.data.dequantise, optimiser=adam,
                batch_size=BATCH, epochs=1000, checkpoint=run, resume=True, mesh=mesh, progress=False, key=key,
                stop=lambda history: time.perf_counter() - started > 30 * minutes,
            )  # fmt: skip
            yield int(result.state.step), zoo.freeze(result.model, images[:2_000], observe=zoo.data.dequantise, key=key)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("networks", nargs="*", help="some of them")
    options.add_argument("--minutes", type=float, default=3.0)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--devices", type=int, default=2)
    arguments = options.parse_args()
    print(start_jax(arguments.devices), flush=True)
    import jax.random as jr
    import numpy as np

    import zoo

    try:
        images = zoo.data.fashion_mnist(download=False)
    except FileNotFoundError:
        images = zoo.data.fashion_mnist_mini()
    held_out = images.test_images[:HELD_OUT]
    print(f"{len(images.train_images)} images; nats of the first {HELD_OUT} held out, k = {DRAWS}", flush=True)
    names = arguments.networks or list(networks())
    scores = {name: ([], []) for name in names}
    for seed in range(arguments.seeds):
        for name in names:  # in turn, so that the machine's moods fall on all
            key = jr.key(seed)
            taken = []
            trained = learn(networks()[name](key), images.train_images, arguments.minutes, arguments.devices, key=key)
            for column, (steps, model) in zip(scores[name], trained):
                nats = zoo.log_likelihood(model, held_out, k=DRAWS, observe=zoo.data.dequantise, key=jr.key(1))
                column.append(float(np.mean(np.asarray(nats, np.float64))))
                taken.append(steps)
            nats = ", ".join(f"{column[-1]:.1f}" for column in scores[name])
            print(f"seed {seed} {name:20} {taken} steps: {nats}", flush=True)
    print(f"\n{'':20}{'at half the time':>28}{'at its end':>28}")
    for name, columns in scores.items():
        cells = [f"{statistics.mean(c):.1f} ({min(c):.1f} to {max(c):.1f})" for c in columns]
        print(f"{name:20}" + "".join(f"{cell:>28}" for cell in cells))


if __name__ == "__main__":
    main()
