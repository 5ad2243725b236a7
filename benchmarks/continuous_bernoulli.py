"""How exact is the continuous Bernoulli, here and elsewhere, and what does it cost?

To 1 or 2 ULP where others lose everything near 0 and beyond 17, at 1.1 times the cost of a logits cross-entropy.
Two cores of an x86 CPU, jax 0.10.2, torch 2.13.0, tfp-nightly 0.26, 2026-11-22:

    largest float32 error in ULP (and absolute), 6000 logits, |logit| <= 1000
                                       zoo              textbook                 torch                   tfp
    log-normaliser         0.896 (3.0e-05)    3.68e+17 (9.8e+02)    2.47e+07 (4.1e+00)    2.47e+07 (3.1e-05)
    mean                    1.02 (4.2e-08)    5.84e+08 (6.8e-02)     5.3e+08 (6.2e-02)        30.1 (7.7e-07)
    variance               0.803 (6.0e-09)                     -    3.46e+10 (2.5e-01)         168 (1.3e-06)
    entropy                 2.11 (2.6e-07)                     -    9.69e+07 (4.1e+00)     1.8e+16 (5.6e-05)
    log_prob                1.28 (5.5e-05)    3.12e+07 (9.1e+02)     2.4e+07 (4.1e+00)        12.8 (5.7e-05)
    d log_prob             0.544 (6.5e-08)    8.38e+06 (1.0e+00)    5.25e+05 (6.3e-02)        22.6 (2.7e-06)
    d2 log_prob           0.0502 (6.0e-09)     2.1e+06 (2.5e-01)    2.14e+06 (2.6e-01)         420 (5.0e-05)
    icdf                     2.4 (7.9e-08)                     -    9.82e+08 (3.4e-01)         775 (1.4e-06)
    d icdf                  3.43 (2.1e-08)                     -    1.68e+07 (1.2e-01)             nan (nan)

    cost against the leanest logits cross-entropy that does not overflow, sum over n dimensions
    n =   100352  value                1.00 ns a dimension, 1.22x
    n =   100352  value and gradient   1.33 ns a dimension, 0.97x
    n =  1000000  value                0.76 ns a dimension, 1.29x
    n =  1000000  value and gradient   1.02 ns a dimension, 1.15x

The exhaustive run, the same machine (`--exhaustive --stride 1 --part i/8`; 2026-11-22 from 2e-29 to 2, else
2026-11-25): the largest error in ULP over every finite float32 logit of either sign, zero and the subnormal ones too,
4,278,190,080 of them, at one x and one u for each. Truth: this library's float64.

    |logit|              0..1e-19    1e-19..2     2..4e19   4e19..3e38       must     aim
    log-normaliser          0.000       0.976       1.156       0.507           2     0.7
    mean                    0.000       0.956       1.100       0.500           2     0.7
    variance                0.333       0.998       1.238       0.000           3       1
    entropy                 0.000       2.397       2.366       0.507           4       2
    log_prob                0.000       0.995       1.827       1.000           2       1
    d log_prob              0.250       0.607       0.705       0.250           2       1
    d2 log_prob             0.021       0.062       0.047       0.000           3     1.5
    NaN or infinite             0           0           0           0           0       0

    |logit|              0..2e-29    2e-29..2   1.5..2e19   2e19..3e38       must     aim
    icdf                    0.000       3.587       3.398       1.861           4       2
    d icdf                  2.500       4.965       5.835       1.516          16       4
    NaN or infinite             0           0           0           0           0       0

The derivatives in the logits of the first to the fourth order, of all of these and of icdf too, at one x and one u
each (`--derivatives --stride 1 --part i/6`, 2026-11-25, three minutes a part when nothing else runs): NaN or infinite
at none of the 4,278,190,080 logits, in none of the 24.

Every bound of the column `must` holds, and the cost stays below 1.3. Most of the aims are missed: between the faster
and the more exact form, training gets the faster.

    python benchmarks/continuous_bernoulli.py                    the table and the cost, a few seconds
    python benchmarks/continuous_bernoulli.py --python PYTHON    also torch and TFP, from another environment
    python benchmarks/continuous_bernoulli.py --exhaustive       every float32 logit; icdf: every --stride
    python benchmarks/continuous_bernoulli.py --derivatives      are they finite? every --stride-th logit
    python benchmarks/continuous_bernoulli.py --figure FILE      error against logit, as a picture

Errors are the largest, in units in the last place (ULP) of the true value, over results that are normal floats;
for log_prob and its derivatives in units of the larger of that and ulp(1). In the table the truth is mpmath's, to
120 digits. In the exhaustive run it is this library's own float64, whose error the tests hold below 4 float64 ULP of
mpmath, that is 1e-8 float32 ULP.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from every_float32 import MOMENTS, QUANTILES, derivatives, exhaustive


SEED = 0
ROWS = (*MOMENTS, *QUANTILES)
TABLE_SIZE = 6000


def points():
    """Logits up to 1000 of both signs, half of them near zero; x and u to go with them."""
    rng = np.random.default_rng(SEED)
    n = TABLE_SIZE // 6
    size = np.concatenate([10 ** rng.uniform(-12, 0, n), rng.uniform(0, 20, n), 10 ** rng.uniform(0, 3, n)])
    eta = np.concatenate([size, -size]).astype(np.float32)
    x = np.where(rng.random(eta.size) < 0.2, rng.integers(0, 2, eta.size), rng.random(eta.size))
    u = np.clip(rng.random(eta.size), 1e-6, 1 - 1e-6)
    return eta, x.astype(np.float32), u.astype(np.float32)


def truths(eta, x, u):
    """The rows to 120 digits, as a list of numbers for each."""
    import mpmath as mp

    mp.mp.dps = 120
    etas, xs, us = ([mp.mpf(float(v)) for v in array] for array in (eta, x, u))
    normalizer = [mp.log(mp.expm1(h) / h) for h in etas]
    mean = [-1 / mp.expm1(-h) - 1 / h for h in etas]
    variance = [1 / h**2 - 1 / (2 * mp.sinh(h / 2)) ** 2 for h in etas]
    icdf = [mp.log1p(w * mp.expm1(h)) / h for w, h in zip(us, etas)]
    slope = [(w / (w + (1 - w) * mp.exp(-h)) - q) / h for w, h, q in zip(us, etas, icdf)]
    return (
        normalizer,
        mean,
        variance,
        [a - h * m for a, h, m in zip(normalizer, etas, mean)],
        [v * h - a for v, h, a in zip(xs, etas, normalizer)],
        [v - m for v, m in zip(xs, mean)],
        [-v for v in variance],
        icdf,
        slope,
    )


def worst(got, truth, *, at_least):
    """The largest error in ULP, and the largest in absolute terms."""
    if got is None:
        return None
    got = np.asarray(got, np.float64)
    if not np.all(np.isfinite(got)):
        return float("nan"), float("nan")
    error = np.array([abs(float(g - t)) for g, t in zip(map(type(truth[0]), map(float, got)), truth)])
    size = np.maximum(np.array([abs(float(t)) for t in truth]), at_least)
    return (error / np.spacing(size.astype(np.float32)).astype(np.float64)).max(), error.max()


def jax_rows(log_normalizer, log_prob, mean, variance, entropy, icdf, eta, x, u):
    import jax
    import jax.numpy as jnp

    eta, x, u = map(jnp.asarray, (eta, x, u))
    first = jax.grad(log_prob, argnums=1)
    slope = icdf and jax.jit(jax.vmap(jax.grad(icdf, argnums=1)))
    return [
        log_normalizer(eta),
        mean and mean(eta),
        variance and variance(eta),
        entropy and entropy(eta),
        jax.vmap(log_prob)(x, eta),
        jax.vmap(first)(x, eta),
        jax.vmap(jax.grad(first, argnums=1))(x, eta),
        icdf and icdf(u, eta),
        slope and slope(u, eta),
    ]


def zoo_rows(eta, x, u):
    from zoo import special as s

    return jax_rows(s.cb_log_normalizer, s.cb_log_prob, s.cb_mean, s.cb_variance, s.cb_entropy, s.cb_icdf, eta, x, u)


def textbook_rows(eta, x, u):
    """The formula as it is usually written: sigmoid, an epsilon in the logarithms, lambda = 1/2 cut out."""
    import jax
    import jax.numpy as jnp

    epsilon = 1e-6

    def lam(h):
        value = jax.nn.sigmoid(h)
        return jnp.where(jnp.abs(value - 0.5) < 0.01, 0.49, value)

    def log_normalizer(h):
        """That of lambda^x (1 - lambda)^(1 - x), which becomes A by taking log(1 - lambda) off."""
        p = lam(h)
        inner = jnp.clip(1 - 2 * p, -1 + epsilon, 1 - epsilon)
        constant = jnp.log(2 * jnp.arctanh(inner) / (1 - 2 * p) + epsilon)
        return -constant - jnp.log(1 - p + epsilon)

    def log_prob(x, h):
        p = jax.nn.sigmoid(h)
        cross_entropy = x * jnp.log(p + epsilon) + (1 - x) * jnp.log(1 - p + epsilon)
        return cross_entropy - log_normalizer(h) - jnp.log(1 - lam(h) + epsilon)

    def mean(h):
        p = lam(h)
        inner = jnp.clip(1 - 2 * p, -1 + epsilon, 1 - epsilon)
        return p / (2 * p - 1) + 1 / (2 * jnp.arctanh(inner))

    return jax_rows(log_normalizer, log_prob, mean, None, None, None, eta, x, u)


def tfp_rows(eta, x, u):
    import jax
    import jax.numpy as jnp
    from tensorflow_probability.substrates.jax import distributions as tfd

    def distribution(h):
        return tfd.ContinuousBernoulli(logits=h)

    def log_prob(x, h):
        return distribution(h).log_prob(x)

    def log_normalizer(h):
        return -log_prob(jnp.zeros_like(h), h)

    names = ("mean", "variance", "entropy")
    moments = [jax.jit(lambda h, name=name: getattr(distribution(h), name)()) for name in names]
    return jax_rows(log_normalizer, log_prob, *moments, lambda u, h: distribution(h).quantile(u), eta, x, u)


def torch_rows(eta, x, u):
    import torch
    from torch.distributions import ContinuousBernoulli

    eta, x, u = (torch.tensor(v) for v in (eta, x, u))
    eta.requires_grad_()
    distribution = ContinuousBernoulli(logits=eta)
    log_prob = distribution.log_prob(x)
    (first,) = torch.autograd.grad(log_prob.sum(), eta, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), eta, retain_graph=True)
    icdf = distribution.icdf(u)
    (slope,) = torch.autograd.grad(icdf.sum(), eta, retain_graph=True)
    normalizer = -distribution.log_prob(torch.zeros_like(x))
    rows = (normalizer, distribution.mean, distribution.variance, distribution.entropy(), log_prob)
    return [row.detach().numpy() for row in (*rows, first, second, icdf, slope)]


OTHERS = {"torch": torch_rows, "tfp": tfp_rows}


def elsewhere(python, library):
    """The rows of `library`, computed by another interpreter; None if it is not installed there."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "rows.npz"
        command = [python, __file__, "--emit", library, str(out)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            print(f"{library}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
            return None
        with np.load(out) as rows:
            return [rows[name] for name in ROWS]


def table(python):
    eta, x, u = points()
    truth = truths(eta, x, u)
    columns = {"zoo": zoo_rows(eta, x, u), "textbook": textbook_rows(eta, x, u)}
    if python:
        columns |= {name: rows for name in OTHERS if (rows := elsewhere(python, name)) is not None}
    print(f"\nlargest float32 error in ULP (and absolute), {eta.size} logits, |logit| <= 1000")
    print(f"{'':16}" + "".join(f"{name:>22}" for name in columns))
    for i, row in enumerate(ROWS):
        cells = []
        for rows in columns.values():
            error = worst(rows[i], truth[i], at_least=1.0 if "log_prob" in row else 0.0)
            cells.append("-" if error is None else f"{error[0]:.3g} ({error[1]:.1e})")
        print(f"{row:16}" + "".join(f"{cell:>22}" for cell in cells))


def cost():
    """Minimum times of interleaved runs against the fastest way to write a logits cross-entropy."""
    import jax
    import jax.numpy as jnp

    from zoo import likelihoods

    def by_log1p(h, x):
        return jnp.sum(x * h - jnp.maximum(h, 0.0) - jnp.log1p(jnp.exp(-jnp.abs(h))))

    def by_log(h, x):
        return jnp.sum(x * h - jnp.maximum(h, 0.0) - jnp.log(1 + jnp.exp(-jnp.abs(h))))

    functions = {"zoo": likelihoods.continuous_bernoulli.log_prob, "log1p": by_log1p, "log": by_log}
    print("\ncost against the leanest logits cross-entropy that does not overflow, sum over n dimensions")
    for n in (784 * 128, 10**6):
        rng = np.random.default_rng(SEED)
        h = jnp.asarray(rng.normal(0, 4, n).astype(np.float32))
        x = jnp.asarray(rng.random(n).astype(np.float32))
        for what, lift in (("value", lambda f: f), ("value and gradient", jax.value_and_grad)):
            compiled = {name: jax.jit(lift(f)) for name, f in functions.items()}
            best = dict.fromkeys(functions, np.inf)
            calls = max(5, 4 * 10**6 // n)
            for _ in range(30):
                for name, f in compiled.items():
                    jax.block_until_ready(f(h, x))
                    start = time.perf_counter()
                    for _ in range(calls):
                        out = f(h, x)
                    jax.block_until_ready(out)
                    best[name] = min(best[name], (time.perf_counter() - start) / calls / n * 1e9)
            ratio = best["zoo"] / min(best["log1p"], best["log"])
            print(f"n = {n:8d}  {what:20} {best['zoo']:.2f} ns a dimension, {ratio:.2f}x")


def figure(path, python):
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    eta, x, u = points()
    truth = truths(eta, x, u)
    columns = {"textbook": textbook_rows(eta, x, u)}
    if python:
        columns |= {name: rows for name in OTHERS if (rows := elsewhere(python, name)) is not None}
    columns["zoo"] = zoo_rows(eta, x, u)
    fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
    for ax, row in zip(axes, (0, 1)):
        size = np.spacing(np.abs(np.array(truth[row], np.float64)).astype(np.float32)).astype(float)
        for name, rows in columns.items():
            got = np.asarray(rows[row], np.float64)
            error = np.array([abs(float(g - t)) for g, t in zip(map(type(truth[0][0]), map(float, got)), truth[row])])
            ax.loglog(np.abs(eta), np.maximum(error / size, 1e-2), ".", ms=1.5, label=name)
        ax.set(title=ROWS[row], xlabel="|logit|", xlim=(1e-6, 1e3))
    axes[0].set(ylabel="error in ULP")
    axes[0].legend(markerscale=6, fontsize="small")
    fig.tight_layout()
    fig.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", help="an interpreter that has torch or tensorflow_probability")
    parser.add_argument("--exhaustive", action="store_true")
    parser.add_argument("--derivatives", action="store_true", help="are they finite, to the fourth order?")
    parser.add_argument("--stride", type=int, default=61, help="of the derivatives, and the exhaustive run's icdf")
    parser.add_argument("--part", default="1/1", help="of the logits, such as 2/4")
    parser.add_argument("--figure")
    parser.add_argument("--emit", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.emit:
        library, out = args.emit
        np.savez(out, **dict(zip(ROWS, map(np.asarray, OTHERS[library](*points())))))
    elif args.derivatives:
        derivatives(args.stride, *map(int, args.part.split("/")))
    elif args.exhaustive:
        exhaustive(args.stride, *map(int, args.part.split("/")))
    elif args.figure:
        figure(args.figure, args.python)
    else:
        table(args.python)
        cost()


if __name__ == "__main__":
    main()
