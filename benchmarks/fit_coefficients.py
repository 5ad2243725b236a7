"""Where do the numbers in `zoo/special/_tables.py` come from?

Each is a coefficient of the polynomial that minimises the largest relative error of a smooth function on an
interval, found by Remez exchange in 60-digit arithmetic and then rounded to the target's precision. Run as

    python benchmarks/fit_coefficients.py > zoo/special/_tables.py

The error of every fit, in units of the target's machine epsilon before and after rounding, goes to standard
error.
"""

import sys

import mpmath as mp
import numpy as np


mp.mp.dps = 60
SWITCH = mp.mpf("2.5")  # |logit| where log-normaliser and mean change from polynomial to exponentials
SWITCH_VARIANCE = mp.mpf("4.5")
SWITCH_ENTROPY = mp.mpf(4)
ERFC_CENTRE = mp.mpf("3.75")  # Shepherd and Laframboise's map of the half-line onto [-1, 1]
SERIES = 40  # terms of the Taylor series below; they serve where the closed forms cancel


def _cumulant_series(u, power):
    """sum_n B_2n/(2n)! * power(2n) * u^(n-1); for power(n) = 1/n that is log(sinh(a/2)/(a/2))/u."""
    return mp.fsum(
        mp.bernoulli(2 * n) / mp.factorial(2 * n) * power(mp.mpf(2 * n)) * u ** (n - 1) for n in range(1, SERIES)
    )


def even_part(u):
    """(A(a) - a/2) / a^2, for u = a^2."""
    if u < 0.01:
        return _cumulant_series(u, lambda n: 1 / n)
    a = mp.sqrt(u)
    return mp.log(mp.sinh(a / 2) / (a / 2)) / u


def slope(u):
    """(A'(a) - 1/2) / a."""
    if u < 0.01:
        return _cumulant_series(u, lambda n: 1)
    a = mp.sqrt(u)
    return (mp.coth(a / 2) / 2 - 1 / a) / a


def variance(u):
    """A''(a)."""
    if u < 0.01:
        return _cumulant_series(u, lambda n: n - 1)
    a = mp.sqrt(u)
    return 1 / u - 1 / (2 * mp.sinh(a / 2)) ** 2


def entropy(u):
    """(a A'(a) - A(a)) / a^2, the negated entropy over a^2."""
    if u < 0.01:
        return _cumulant_series(u, lambda n: 1 - 1 / n)
    return slope(u) - even_part(u)


def log_complement(e):
    """-log(1 - e) / e."""
    return -mp.log1p(-e) / e if e else mp.mpf(1)


def log_remainder(f):
    """(log(1 + f) - f + f^2/2) / f^3."""
    if abs(f) < 0.01:
        return mp.fsum((-1) ** n * f**n / (n + 3) for n in range(SERIES))
    return (mp.log1p(f) - f + f**2 / 2) / f**3


def scaled_erfc(q):
    """(1 + 2t) exp(t^2) erfc(t), for t >= 0 and q = (t - centre)/(t + centre)."""
    if q == 1:
        return 2 / mp.sqrt(mp.pi)
    t = ERFC_CENTRE * (1 + q) / (1 - q)
    if t < 20:
        return (1 + 2 * t) * mp.exp(t**2) * mp.erfc(t)
    series = mp.fsum(mp.fac2(2 * n - 1) * (-1) ** n / (2 * t**2) ** n for n in range(1, SERIES))
    return (1 + 2 * t) / (t * mp.sqrt(mp.pi)) * (1 + series)


# name: function, interval, centre of the powers, degree in float32 and in float64
FITS = {
    "EVEN_PART": (even_part, (0, SWITCH**2), 0, 4, 12),
    "SLOPE": (slope, (0, SWITCH**2), 0, 5, 12),
    "VARIANCE": (variance, (0, SWITCH_VARIANCE**2), 10, 9, 18),
    "ENTROPY": (entropy, (0, SWITCH_ENTROPY**2), 0, 8, 17),
    "LOG_COMPLEMENT": (log_complement, (0, mp.exp(-SWITCH)), 0, 3, 10),
    "SCALED_ERFC": (scaled_erfc, (-1, 1), 0, 11, 27),
    "LOG_REMAINDER": (log_remainder, (mp.sqrt(0.5) - 1, mp.sqrt(2) - 1), 0, 8, 20),
}


def remez(function, interval, degree):
    """Coefficients of 1..t^degree that minimise max |p/function - 1| over t in `interval`."""
    low, high = interval

    def chebyshev(count):
        return [(low + high) / 2 - (high - low) / 2 * mp.cos(mp.pi * i / (count - 1)) for i in range(count)]

    reference, grid = chebyshev(degree + 2), chebyshev(16 * (degree + 2))
    truth = [function(t) for t in grid]
    for _ in range(8):
        matrix, right = mp.zeros(degree + 2), mp.ones(degree + 2, 1)
        for i, t in enumerate(reference):
            value = function(t)
            for j in range(degree + 1):
                matrix[i, j] = t**j / value
            matrix[i, degree + 1] = (-1) ** i
        coefficients = list(mp.lu_solve(matrix, right)[: degree + 1])
        errors = [mp.polyval(coefficients[::-1], t) / value - 1 for t, value in zip(grid, truth)]
        # one extremum from every run of equal sign
        extrema = []
        for t, error in zip(grid, errors):
            if extrema and mp.sign(extrema[-1][1]) == mp.sign(error):
                if abs(error) > abs(extrema[-1][1]):
                    extrema[-1] = (t, error)
            else:
                extrema.append((t, error))
        if len(extrema) != degree + 2:
            break
        reference = [t for t, _ in extrema]
    return coefficients, max(abs(error) for error in errors)


def fit(function, interval, centre, degree, dtype):
    """Rounded coefficients, and the largest relative errors before and after rounding."""
    interval = tuple(mp.mpf(end) - centre for end in interval)

    def shifted(t):
        return function(t + centre)

    coefficients, ideal = remez(shifted, interval, degree)
    rounded = [mp.mpf(float(dtype(mp.nstr(c, 40)))) for c in coefficients]
    grid = [interval[0] + (interval[1] - interval[0]) * i / 100 for i in range(101)]
    worst = max(abs(mp.polyval(rounded[::-1], t) / shifted(t) - 1) for t in grid)
    return [float(c) for c in rounded], ideal, worst


def main():
    print('"""Written by benchmarks/fit_coefficients.py; change that and run it again."""\n')
    print("# |logit| below which the polynomials hold.")
    for name, value in (("", SWITCH), ("_VARIANCE", SWITCH_VARIANCE), ("_ENTROPY", SWITCH_ENTROPY)):
        print(f"SWITCH{name} = {float(value)}")
    print(f"\nERFC_CENTRE = {float(ERFC_CENTRE)}")
    print(f"\nVARIANCE_CENTRE = {float(FITS['VARIANCE'][2])}")
    for name, bits in (("float32", 14), ("float64", 40)):
        high = mp.floor(mp.log(2) * 2**bits) / 2**bits  # times an exponent, exact
        print(f"\nLN2_{name.upper()} = ({float(high)!r}, {float(mp.log(2) - high)!r})")
    for name, (function, interval, centre, *degrees) in FITS.items():
        for dtype, degree in zip((np.float32, np.float64), degrees):
            coefficients, *errors = fit(function, interval, centre, degree, dtype)
            ideal, worst = (float(error / float(np.finfo(dtype).eps)) for error in errors)
            print(f"{name} {dtype.__name__} degree {degree}: {ideal:.3f}, rounded {worst:.3f}", file=sys.stderr)
            print(f"\n{name}_{dtype.__name__.upper()} = (")
            for c in coefficients:
                print(f"    {c!r},")
            print(")")


if __name__ == "__main__":
    main()
