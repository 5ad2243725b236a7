import ast
import re
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy import stats

from zoo import data


OBSERVE = [data.scale, data.dequantise, data.binarise]
LEVELS = np.arange(256, dtype=np.uint8)


# What the model sees


@pytest.mark.parametrize("observe", OBSERVE)
def test_observe_takes_bytes_and_floats_alike(observe):
    key = jr.key(0)
    of_bytes = observe(LEVELS, key=key)
    of_floats = observe(jnp.asarray(LEVELS / np.float32(255)), key=key)
    assert of_bytes.dtype == of_floats.dtype == jnp.float32
    np.testing.assert_allclose(of_bytes, of_floats, rtol=0, atol=1e-7)
    assert observe(jnp.asarray(LEVELS / np.float32(255), jnp.bfloat16), key=key).dtype == jnp.float32


@pytest.mark.parametrize("observe", OBSERVE)
def test_observe_under_jit_and_vmap(observe):
    images = data.fashion_mnist_mini().test_images[:3]
    keys = jr.split(jr.key(1), 3)
    together = jax.jit(jax.vmap(lambda x, key: observe(x, key=key)))(images, keys)
    for i in range(3):
        # XLA may divide by 255 as a product with its inverse: the last bit is not promised.
        np.testing.assert_allclose(together[i], observe(images[i], key=keys[i]), rtol=0, atol=6e-8)


@pytest.mark.parametrize("observe", OBSERVE)
def test_observe_keeps_float64(observe):
    with jax.enable_x64(True):
        assert observe(jnp.full((3,), 0.5, jnp.float64), key=jr.key(0)).dtype == jnp.float64
        assert observe(LEVELS, key=jr.key(0)).dtype == jnp.float32


@pytest.mark.parametrize("observe", OBSERVE)
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.int8])
def test_observe_refuses_other_dtypes(observe, dtype):
    message = rf"`{observe.__name__}\(x\)` needs bytes .* got {np.dtype(dtype)}; cast with"
    with pytest.raises(ValueError, match=message):
        observe(np.zeros(3, dtype), key=jr.key(0))


def test_scale():
    np.testing.assert_allclose(data.scale(LEVELS), np.arange(256) / 255, rtol=1.2e-7)
    assert data.scale(LEVELS)[255] == 1
    floats = jnp.asarray([0.0, 0.3, 1.0])
    assert jnp.array_equal(data.scale(floats), floats)


def test_dequantise_is_exact_and_strictly_inside():
    """A million draws at the ends: the extreme noise is met, and does not reach 0 or 1."""
    for level, extreme in ((0, 2.0**-24), (255, 1 - 2.0**-24)):
        for x in (np.full(1 << 20, level, np.uint8), np.full(1 << 20, level / 255, np.float32)):
            xs = np.asarray(data.dequantise(x, key=jr.key(2)))
            assert (xs.min() if level == 0 else xs.max()) == np.float32(extreme)
            assert np.all(np.floor(xs * 256.0) == level)
    xs = data.dequantise(np.repeat(LEVELS, 1000), key=jr.key(3))
    assert np.array_equal(np.floor(np.asarray(xs, np.float64) * 256), np.repeat(LEVELS, 1000))


@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_dequantise_noise_is_uniform(level):
    xs = data.dequantise(np.full(200_000, level, np.uint8), key=jr.key(level))
    noise = np.asarray(xs, np.float64) * 256 - level
    assert stats.kstest(noise, "uniform").pvalue > 1e-3
    # Independent of its neighbour, and every value an odd multiple of 2^-16.
    assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 5 / np.sqrt(200_000)
    assert np.all(noise * 2.0**16 % 2 == 1)


def test_binarise():
    n = 40_000
    for level in (0, 1, 100, 254, 255):
        xs = np.asarray(data.binarise(np.full(n, level, np.uint8), key=jr.key(level)))
        assert set(np.unique(xs)) <= {0.0, 1.0}
        p = level / 255
        assert abs(xs.mean() - p) <= 5 * np.sqrt(p * (1 - p) / n)


# The front door


def images(**replaced):
    xs = np.full((4, 1, 28, 28), 0.5, np.float32)
    for value in replaced.values():
        xs[2, 0, 3, 4] = value
    return xs


@pytest.mark.parametrize(
    "xs",
    [
        images(),
        images(low=0.0),
        images(high=1.0),
        jnp.asarray(images()),
        jnp.asarray(images(), jnp.bfloat16),
        images().astype(np.float64),
        images()[:1],
        np.full((4, 1, 28, 28), 255, np.uint8),
        images()[:, :, ::-1],
    ],
)
def test_check_batch_passes_what_is_right(xs):
    data.check_batch(xs, shape=(1, 28, 28), support=(0.0, 1.0), call="fit(images)")


def test_check_batch_without_limits():
    xs = np.asarray([[-1e30, 5.0]], np.float32)
    data.check_batch(xs, shape=(2,), support=(-np.inf, np.inf), call="fit(xs)")
    data.check_batch(xs, support=(-np.inf, np.inf), call="fit(xs)")


BAD_BATCHES = {
    "nan": (images(bad=np.nan), r"finite values in \[0, 1\], got nan at index \(2, 0, 3, 4\); remove"),
    "inf": (images(bad=np.inf), r"got inf at index \(2, 0, 3, 4\); remove"),
    "minus inf": (images(bad=-np.inf), r"got -inf at index \(2, 0, 3, 4\); remove"),
    "below": (images(bad=-1e-6), r"got -1e-06 at index \(2, 0, 3, 4\); scale"),
    "above": (images(bad=1.5), r"got 1.5 at index \(2, 0, 3, 4\); divide by 255, or pass the bytes as uint8"),
    "just above": (jnp.asarray(images(bad=1.000001)), r"got 1.000001 at index"),
    "far above": (images(bad=1e9), r"got 1e\+09 at index \(2, 0, 3, 4\); scale"),
    "dtype": (images().astype(np.int64), r"floats, got dtype int64; cast with .astype\('uint8'\)"),
    "complex": (images() * 1j, r"got dtype complex64; cast"),
    "objects": (images().astype(object), r"got dtype object; cast"),
    "list": ([[0.5]], r"NumPy or JAX array, got list; pass np.asarray"),
    "none": (None, r"NumPy or JAX array, got NoneType"),
    "keys": (jr.split(jr.key(0), 3), r"got dtype key"),
    "single": (images()[0], r"shape \(n, 1, 28, 28\), got \(1, 28, 28\); add the batch axis: xs\[None\]"),
    "no channels": (images()[:, 0], r"got \(4, 28, 28\); add the channel axis: xs\[:, None\]"),
    "channels last": (images()[:, 0, :, :, None], r"got \(4, 28, 28, 1\); put the channels first"),
    "flat": (images().reshape(4, 784), r"got \(4, 784\); reshape it: xs.reshape\(4, 1, 28, 28\)"),
    "side": (images()[..., 1:], r"got \(4, 1, 28, 27\); pass examples of the shape the model"),
    "scalar": (np.full((), 0.5), r"got \(\); pass examples"),
    "empty": (images()[:0], r"at least one example, got an empty batch of shape \(0, 1, 28, 28\)"),
}


@pytest.mark.parametrize("case", BAD_BATCHES)
def test_check_batch_refuses(case):
    xs, message = BAD_BATCHES[case]
    with pytest.raises(ValueError, match=rf"^`fit\(images\)` needs .*{message}"):
        data.check_batch(xs, shape=(1, 28, 28), call="fit(images)")


def test_check_batch_refuses_without_a_shape():
    with pytest.raises(ValueError, match="needs a batch axis, got a scalar"):
        data.check_batch(np.ones(()), call="fit(xs)")
    with pytest.raises(ValueError, match=r"empty batch of shape \(3, 0\)"):
        data.check_batch(np.ones((3, 0)), call="fit(xs)")
    with pytest.raises(ValueError, match=r"needs shape \(n,\), got \(3, 2\)"):
        data.check_batch(np.ones((3, 2)), shape=(), call="fit(xs)")
    with pytest.raises(ValueError, match="needs finite numbers, got nan at index .1, 0."):
        data.check_batch(np.asarray([[0.0], [np.nan]]), support=(-np.inf, np.inf), call="fit(xs)")


def test_check_batch_finds_the_first_anywhere():
    xs = np.full((300, 784), 0.5, np.float32)
    for i in (299 * 784 + 783, 65536, 65535, 0):  # last first: each is before those planted already
        xs.reshape(-1)[i] = 2
        index = re.escape(str((i // 784, i % 784)))
        with pytest.raises(ValueError, match=f"got 2.0 at index {index};"):
            data.check_batch(xs, call="fit(xs)")


def test_check_batch_costs_next_to_nothing():
    def seconds(xs):
        def once():
            start = time.perf_counter()
            data.check_batch(xs, shape=(784,), call="fit(xs)")
            return time.perf_counter() - start

        return min(once() for _ in range(3))

    xs = np.zeros((60_000, 784), np.uint8)
    assert seconds(xs) < 0.005
    assert seconds(xs[:10_000].astype(np.float32)) < 0.1


# The room


def test_heavy_imports_are_lazy():
    for path in Path(data.__file__).parent.glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                assert not any(name.split(".")[0] in ("matplotlib", "tqdm") for name in names), path
