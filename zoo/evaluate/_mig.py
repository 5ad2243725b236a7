from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float

from ._arrays import check_codes
from ._information import bin_codes, entropy, mutual_information


class FactorGaps(NamedTuple):
    """The gaps by which the latent that tells most about a factor is ahead of the next.

    **Fields:** `score`: the mean of the gaps, from 0 to 1; `gaps`: one for each factor; `table`: what each latent
    tells about each factor, `(latents, factors)`.
    """

    score: float
    gaps: Float[np.ndarray, " factors"]
    table: Float[np.ndarray, " latents factors"]


def mig(codes: Array | np.ndarray, factors: Array | np.ndarray | None, *, bins: int = 20) -> FactorGaps:
    r"""The mutual information gap: what the best latent knows of a factor that the second best does not.

    $$\frac1K \sum_{k=1}^K \frac{1}{H(v_k)} \left( I(z_{j(k)}; v_k) - \max_{j \ne j(k)} I(z_j; v_k) \right),
      \qquad j(k) = \arg\max_j I(z_j; v_k)$$

    One departure: the paper takes the latents from q(z | x) and integrates over it; here they are codes, for example
    posterior means, in bins of equal width, as in Locatello et al., "Challenging common assumptions", 2019. The
    plug-in estimate of the information is too large by about (bins - 1)(values - 1) / 2n nats.

    **Arguments:**

    - `codes`: `(n, latents)`, at least two latents, as `zoo.encode` gives them.
    - `factors`: `(n, factors)`, integers: the number of each factor's value, as `data.sprites` gives them.
    - `bins`: of each latent.

    **Returns:** `FactorGaps`, the `table` being the mutual information in nats. The score is 1 where every factor has a
    latent of its own that determines it, about 0 where the codes are noise.

    **Raises:** `ValueError` for factors that are missing, constant, no integers or not one row to a code, and for
    codes that are empty or not finite.

    Chen et al., "Isolating sources of disentanglement in VAEs", 2018, equation 6.
    """
    codes, factors = check_codes("mig", codes, factors, latents=2)
    information = mutual_information(bin_codes(codes, bins, "mig"), factors)
    return factor_gaps(information, information / entropy(factors)[None])


def factor_gaps(
    table: Float[np.ndarray, " latents factors"], scores: Float[np.ndarray, " latents factors"]
) -> FactorGaps:
    """Subtract the second largest score from the largest, in each column."""
    ordered = np.sort(scores, axis=0)
    difference = ordered[-1] - ordered[-2]
    return FactorGaps(float(difference.mean()), difference, table)
