from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from ._arrays import check_codes
from ._information import bin_codes, mutual_information


class Modularity(NamedTuple):
    """The result of `modularity`.

    **Fields:** `score`: the mean over the latents; `modularity`: of each latent, from 0 to 1; `table`: the mutual
    information of each latent and each factor in nats, `(latents, factors)`.
    """

    score: float
    modularity: Float[np.ndarray, " latents"]
    table: Float[np.ndarray, " latents factors"]


def modularity(codes: Array | np.ndarray, factors: Array | np.ndarray | None, *, bins: int = 20) -> Modularity:
    r"""Measure how nearly each latent has information about one factor alone.

    $$\frac1D \sum_i \left( 1 - \frac{\sum_{f \ne f(i)} m_{if}^2}{m_{i f(i)}^2 (K - 1)} \right), \qquad
      m_{if} = I(z_i; v_f), \quad f(i) = \arg\max_f m_{if}$$

    for D latents and K factors. A latent that has no information about any factor counts 0. It says nothing of
    whether the factors can be told from the codes, and noise that looks like a little information about one
    factor may score well: read it beside `mig`.

    **Arguments:** as in `mig`; at least two factors.

    **Raises:** as `mig`, and `ValueError` for a single factor.

    Ridgeway & Mozer, "Learning deep disentangled embeddings with the F-statistic loss", 2018, section 3.1.
    """
    codes, factors = check_codes("modularity", codes, factors)
    if factors.shape[1] < 2:
        raise ValueError("`modularity(factors)` compares factors and needs at least 2, got 1; use `mig`")
    information = mutual_information(bin_codes(codes, bins, "modularity"), factors)
    largest = information.max(axis=1)
    others = np.sum(information**2, axis=1) - largest**2
    known = np.where(largest > 0, largest, 1.0)
    each = np.where(largest > 0, 1 - others / (known**2 * (factors.shape[1] - 1)), 0.0)
    return Modularity(float(each.mean()), each, information)
