"""The continuous Bernoulli at every finite float32 logit, for `continuous_bernoulli.py`."""

import time

import numpy as np


MOMENTS = "log-normaliser", "mean", "variance", "entropy", "log_prob", "d log_prob", "d2 log_prob"
QUANTILES = "icdf", "d icdf"


def arguments(bits):
    """The logits with these bits, and a pseudo-random x and u for each of them."""
    import jax
    import jax.numpy as jnp

    def hashed(salt):
        z = (bits ^ jnp.uint32(salt)) * jnp.uint32(0x9E3779B1)
        z = (z ^ (z >> jnp.uint32(15))) * jnp.uint32(0x85EBCA77)
        return z ^ (z >> jnp.uint32(13))

    eta = jax.lax.bitcast_convert_type(bits, jnp.float32)
    x = (hashed(1) >> jnp.uint32(8)).astype(jnp.float32) * jnp.float32(1 / (2**24 - 1))
    x = jnp.where(hashed(2) % jnp.uint32(5) == 0, jnp.round(x), x)
    u = ((hashed(3) >> jnp.uint32(8)).astype(jnp.float32) + 0.5) * jnp.float32(2**-24)
    return eta, x, jnp.minimum(u, jnp.float32(1 - 2**-24))


def chunks(part, parts, size, stride=1):
    """The bits of every `stride`th logit of one part, from zero over the subnormal ones to the largest, either sign."""
    end = 0x7F7FFFFF + 1
    lowest, highest = end * (part - 1) // parts, end * part // parts
    for begin in range(lowest, highest, size * stride):
        bits = np.arange(begin, min(begin + size * stride, highest), stride, dtype=np.uint64)
        for sign in (0, 1 << 31):
            yield (bits + np.uint64(sign)).astype(np.uint32)


def derivatives(stride, part, parts):
    """How many derivatives in the logits, of the first to the fourth order, are NaN or infinite."""
    import jax
    import jax.numpy as jnp

    from zoo import special as s

    functions = {
        "log-normaliser": lambda h, x, u: s.cb_log_normalizer(h),
        "mean": lambda h, x, u: s.cb_mean(h),
        "variance": lambda h, x, u: s.cb_variance(h),
        "entropy": lambda h, x, u: s.cb_entropy(h),
        "log_prob": lambda h, x, u: s.cb_log_prob(x, h),
        "icdf": lambda h, x, u: s.cb_icdf(u, h),
    }

    @jax.jit
    def bad(bits):
        counts = []
        for function in functions.values():
            for _ in range(4):
                function = jax.grad(function)
                counts.append(jnp.sum(~jnp.isfinite(jax.vmap(function)(*arguments(bits)))))
        return jnp.stack(counts)

    start, total, counts = time.time(), 0, np.zeros((len(functions), 4), int)
    for bits in chunks(part, parts, 2**15, stride):  # these stay in the cache
        total += bits.size
        counts += np.asarray(bad(jnp.asarray(bits))).reshape(counts.shape)
    minutes = (time.time() - start) / 60
    print(f"\nNaN or infinite derivatives of order 1, 2, 3, 4, at {total} logits, {minutes:.0f} minutes")
    for name, row in zip(functions, counts):
        print(f"{name:16} {row}", flush=True)


def exhaustive(stride, part, parts):
    """Every finite float32 logit (icdf: every `stride`th), or one part of them; the truth is this library's float64."""
    import jax
    import jax.numpy as jnp

    from zoo import special as s

    def moments(eta, x, u):
        score = jax.grad(s.cb_log_prob, argnums=1)
        first, second = jax.vmap(score), jax.vmap(jax.grad(score, argnums=1))
        functions = s.cb_log_normalizer, s.cb_mean, s.cb_variance, s.cb_entropy
        return *(f(eta) for f in functions), s.cb_log_prob(x, eta), first(x, eta), second(x, eta)

    def quantiles(eta, x, u):
        return s.cb_icdf(u, eta), jax.vmap(jax.grad(s.cb_icdf, argnums=1))(u, eta)

    def judge(values, names):
        @jax.jit
        def worst(got, eta, x, u):
            rows = []
            for name, value, true in zip(names, got, values(*(v.astype(jnp.float64) for v in (eta, x, u)))):
                at_least = 1.0 if "log_prob" in name else 2.0**-126
                size = jnp.maximum(jnp.abs(true), at_least)
                exponent = jax.lax.bitcast_convert_type(size, jnp.int64) & jnp.int64(0x7FF << 52)
                unit = jax.lax.bitcast_convert_type(exponent, jnp.float64) * 2.0**-23
                counts = (jnp.abs(true) >= 2.0**-126) | (at_least == 1.0)
                error = jnp.where(counts, jnp.abs(value.astype(jnp.float64) - true) / unit, 0.0)
                rows.append((jnp.max(error), eta[jnp.argmax(error)], jnp.sum(~jnp.isfinite(value))))
            return rows

        return worst

    with jax.enable_x64(True):
        for values, names, step in ((moments, MOMENTS, 1), (quantiles, QUANTILES, stride)):
            start, total = time.time(), 0
            compiled, worst = jax.jit(values), judge(values, names)
            result = [(0.0, 0.0, 0)] * len(names)
            for bits in chunks(part, parts, 2**21, step):
                args = jax.jit(arguments)(jnp.asarray(bits))
                total += bits.size
                for i, (error, at, bad) in enumerate(worst(compiled(*args), *args)):
                    seen, where, before = result[i]
                    if float(error) > seen:
                        seen, where = float(error), float(at)
                    result[i] = seen, where, before + int(bad)
            every = "every finite float32 logit" if step == 1 else f"every {step}th"
            minutes = (time.time() - start) / 60
            print(f"\nlargest error in ULP over {every}: {total} of them, {minutes:.0f} minutes")
            for name, (error, at, bad) in zip(names, result):
                print(f"{name:16} {error:8.3f} at {at!r:24} NaN or infinite: {bad}", flush=True)
