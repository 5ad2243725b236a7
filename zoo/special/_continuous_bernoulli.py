from jaxtyping import Array, Float

from ._cb_cumulants import log_normalizer, log_prob, mean, variance
from ._elementary import elementwise


@elementwise
def cb_log_normalizer(logits: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    r"""Log-normaliser of the continuous Bernoulli in its natural parameter.

    $$A(\eta) = \log \int_0^1 e^{x \eta} dx = \log\frac{e^\eta - 1}{\eta}$$

    Its derivatives of every order are accurate to a few units in the last place: they are the cumulants,
    each a function of its own. So it is for every function of this family.

    **Arguments:**

    - `logits`: $\eta = \log(\lambda / (1 - \lambda))$, finite, of any shape. Float32 and float64 are
        computed as they are, smaller floats in float32. Logits, not probabilities: a probability cannot be
        told from a logit.

    **Returns:**

    $A(\eta)$, of the shape of `logits`.

    Loaiza-Ganem and Cunningham, "The continuous Bernoulli: fixing a pervasive error in variational
    autoencoders", 2019, equation 7, there in $\lambda$ with a hole at $\lambda = 1/2$, which the natural
    parameter has not.
    """
    return log_normalizer(logits)


@elementwise
def cb_mean(logits: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    r"""Mean of the continuous Bernoulli, $A'(\eta) = 1/(1 - e^{-\eta}) - 1/\eta$, which is not $\lambda$.

    **Arguments:**

    - `logits`: $\eta$, as for [`cb_log_normalizer`][].

    **Returns:**

    The mean, strictly between 0 and 1, of the shape of `logits`.
    """
    return mean(logits)


@elementwise
def cb_variance(logits: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    r"""Variance of the continuous Bernoulli, $A''(\eta) = 1/\eta^2 - 1/(2 \sinh(\eta/2))^2$, at most 1/12.

    **Arguments:**

    - `logits`: $\eta$, as for [`cb_log_normalizer`][].

    **Returns:**

    The variance, of the shape of `logits`.
    """
    return variance(logits)


@elementwise
def cb_log_prob(x: Float[Array, " *shape"], logits: Float[Array, " *shape"]) -> Float[Array, " *shape"]:
    r"""Log-density of the continuous Bernoulli, $\log p(x \mid \eta) = x \eta - A(\eta)$, per dimension.

    Better than its formula where the two terms cancel: the reflection $p(x \mid \eta) = p(1 - x \mid
    -\eta)$ is used for $\eta > 0$, and the large part of the logarithm is taken off the product without
    rounding.

    **Arguments:**

    - `x`: values in [0, 1]. What lies outside is neither detected nor clipped here.
    - `logits`: $\eta$, as for [`cb_log_normalizer`][].

    **Returns:**

    The log-density in nats, of the common shape.
    """
    return log_prob(x, logits)
