import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from .._checks import Real, check_weight
from .._custom_types import Scalar
from .._draws import Draws
from ._batch import latents


class Discriminator(eqx.Module):
    r"""A network that tells draws of q(z) from draws of $\prod_j q(z_j)$, by the logit of the former.

    Kim and Mnih, 2018, [Disentangling by factorising](https://arxiv.org/abs/1802.05983), appendix A; the
    paper has six layers of 1000 units and two logits, whose difference is the one here.
    """

    mlp: eqx.nn.MLP

    def __init__(self, latent_size: int, *, width_size: int = 1000, depth: int = 5, key: PRNGKeyArray):
        """**Arguments:** `latent_size`: dimensions of z; `depth` hidden layers of `width_size` leaky rectified units
        each.
        """
        self.mlp = eqx.nn.MLP(latent_size, "scalar", width_size, depth, lambda x: jax.nn.leaky_relu(x, 0.2), key=key)

    def __call__(self, z: Float[Array, " latent"]) -> Scalar:
        return self.mlp(z)


def permute_dims(zs: Float[Array, " batch latent"], *, key: PRNGKeyArray) -> Float[Array, " batch latent"]:
    r"""Each dimension shuffled over the batch on its own: draws, about, of $\prod_j q(z_j)$.

    **Arguments:** `zs`: one draw for each example, `(batch, latent)`.

    Kim and Mnih, 2018, [Disentangling by factorising](https://arxiv.org/abs/1802.05983), algorithm 1.
    """
    return jr.permutation(key, zs, axis=0, independent=True)


def density_ratio(
    draws: Draws, *, discriminator: Discriminator, weight: Real = 1.0, key: PRNGKeyArray | None = None
) -> Scalar:
    r"""FactorVAE's penalty: the total correlation as a discriminator sees it.

    $\lambda E_{q(z)}\left[\log \frac{D(z)}{1 - D(z)}\right] \approx
    \lambda \, KL\left(q(z) \,\Big\|\, \prod_j q(z_j)\right)$

    The discriminator is held fixed here, and learns by `discriminator_step`.

    **Arguments:**

    - `draws`: the draws of a batch.
    - `discriminator`: latent to the logit of D(z).
    - `weight`: $\lambda$, the paper's gamma.
    - `key`: not used.

    **Returns:**

    The penalty, nats.

    **Raises:**

    `ValueError` for a batch of one or a negative weight.

    Kim and Mnih, 2018, [Disentangling by factorising](https://arxiv.org/abs/1802.05983), equations (2)
    and (3).
    """
    check_weight("density_ratio", "weight", weight)
    zs = latents("density_ratio", draws)
    fixed = jax.tree.map(lambda x: jax.lax.stop_gradient(x) if eqx.is_array(x) else x, discriminator)
    return weight * jnp.mean(jax.vmap(jax.vmap(fixed))(zs))


def discriminator_loss(discriminator: Discriminator, draws: Draws, *, key: PRNGKeyArray) -> Scalar:
    r"""The cross-entropy of telling a batch of latents from latents with shuffled dimensions.

    $-\frac12 E\left[\log D(z)\right] - \frac12 E\left[\log (1 - D(\tilde z))\right]$

    The paper shuffles a second batch; here it is the same one, of which each draw of an example is shuffled
    among the examples. No gradient reaches the model.

    **Arguments:** as `discriminator_step`.

    **Returns:** the loss, nats; log 2 where nothing can be told apart.
    """
    zs = jnp.moveaxis(jax.lax.stop_gradient(latents("discriminator_loss", draws)), 1, 0)
    shuffled = jax.vmap(lambda z, key: permute_dims(z, key=key))(zs, jr.split(key, zs.shape[0]))
    logits = jax.vmap(jax.vmap(discriminator))
    return 0.5 * jnp.mean(jax.nn.softplus(-logits(zs))) + 0.5 * jnp.mean(jax.nn.softplus(logits(shuffled)))


def discriminator_step(
    discriminator: Discriminator,
    opt_state: PyTree,
    draws: Draws,
    *,
    optimiser: optax.GradientTransformation,
    key: PRNGKeyArray,
) -> tuple[Discriminator, PyTree, Scalar]:
    """The second player's move: one step of the discriminator on the draws of a batch.

    It takes turns with `zoo.step`, which minimises minus the bound plus `density_ratio`.

    **Arguments:**

    - `discriminator`: latent to logit.
    - `opt_state`: at first `optimiser.init(eqx.filter(discriminator, eqx.is_inexact_array))`.
    - `draws`: the draws of a batch.
    - `optimiser`: the discriminator's own.
    - `key`: for the shuffling.

    **Returns:**

    The discriminator and the optimiser's state after the step, and the loss before it, nats.
    """
    value, gradient = eqx.filter_value_and_grad(discriminator_loss)(discriminator, draws, key=key)
    updates, opt_state = optimiser.update(gradient, opt_state, eqx.filter(discriminator, eqx.is_inexact_array))
    return eqx.apply_updates(discriminator, updates), opt_state, value
