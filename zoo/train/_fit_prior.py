from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import check_counts
from ..evaluate import check_evaluation, draw_latents
from ..models import ConditionalVAE, given
from ..priors import AbstractBorrowingPrior, AbstractPrior, ConditionalMixture, MixtureOfNormals
from ._recipe import choose_batch_size
from ._step import Model


def fit_prior(
    model: Model,
    xs: Array | np.ndarray,
    *,
    ys: Array | np.ndarray | None = None,
    prior: AbstractPrior | AbstractBorrowingPrior | None = None,
    components: int = 64,
    iterations: int = 100,
    epochs: int = 20,
    batch_size: int | None = None,
    learning_rate: float = 1e-3,
    observe: Callable | None = None,
    progress: bool = False,
    key: PRNGKeyArray,
) -> Model:
    r"""The model with its prior replaced by one fitted to the aggregated posterior.

    It climbs $E_{x} E_{q(z \mid x)} \log p(z)$, the prior's whole part in the ELBO, and leaves encoder and
    decoder alone: the ELBO of the examples gains by as much, and what is drawn from the new prior lies where
    the decoder was trained. Unless `prior` is given, it is a mixture of normals, by expectation-maximisation;
    else that prior, by Adam, with a fresh draw of z for every example in each epoch.

    **Arguments:**

    - `model`: a trained model, frozen if it has `BatchNorm`; with one vector of latents for the mixture.
    - `xs`: the training data, `(n, ...)`.
    - `ys`: their labels, for a `ConditionalVAE`; the mixture's shares then depend on the class
      (`priors.ConditionalMixture`), or stay the same for all labels that are vectors.
    - `prior`: where to start from: `priors.Autoregressive(...)` for a `VQVAE`, `priors.FlowPrior(...)`, ...
    - `components`, `iterations`: of the mixture: how many normals, at most as many as examples, and how many
      rounds of expectation-maximisation.
    - `epochs`, `batch_size`, `learning_rate`: of Adam, for a `prior` that is given; a batch has 128 unless given, or as
      many as there are.
    - `observe`: as in `zoo.fit`.
    - `progress`: a progress bar on standard error, for a `prior` that is given.
    - `key`: for the draws of z, for the order of the examples, and for the mixture's start.

    **Raises:** `ValueError` for fewer examples than components or than `batch_size`, latents that are not a vector
    where no `prior` is given, a prior with nothing to learn or for other latents than the model's, and
    `epochs`, `batch_size` or `learning_rate` that are not above 0.

    Ghosh et al., "From variational to deterministic autoencoders", 2020, section 4 (ex-post density
    estimation); van den Oord et al., "Neural discrete representation learning", 2017, section 3.3, for codes;
    Hoffman & Johnson, "ELBO surgery", 2016, for what it gains.
    """
    if prior is not None:
        check_evaluation("fit_prior", model, xs, ys, k=1, observe=observe)
        batch_size = choose_batch_size(batch_size, xs)
        _check_ascent(model, xs, ys, prior, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
        return _ascend(
            model, xs, ys, prior, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate,
            observe=observe, progress=progress, key=key,
        )  # fmt: skip
    if not 1 <= components <= len(xs):
        raise ValueError(f"`fit_prior(components={components})`: pass 1 to {len(xs)}, the number of examples")
    draw_key, start_key = jr.split(key)
    zs = draw_latents(model, xs, ys=ys, observe=observe, key=draw_key)
    if not (eqx.is_inexact_array(zs) and zs.ndim == 2):
        shapes = ", ".join(str(leaf.shape[1:]) for leaf in jax.tree.leaves(zs))
        raise ValueError(
            f"`fit_prior` fits a mixture of normals to one vector of latents, and those of `{type(model).__name__}` "
            f"have the shapes {shapes}; pass a `prior` for them, such as `priors.Autoregressive` for codes"
        )
    start = MixtureOfNormals(zs.shape[1], components, key=start_key)
    spread = jnp.broadcast_to(jnp.log(jnp.std(zs, axis=0)), (components, zs.shape[1]))
    start = eqx.tree_at(lambda p: (p.mean, p.log_scale), start, (_scatter(zs, components, start_key), spread))
    classes = model.num_classes if isinstance(model, ConditionalVAE) and ys is not None else None
    members = jnp.ones((len(zs), 1)) if classes is None else jax.nn.one_hot(jnp.asarray(ys), classes)
    mixture, logits = _climb(start, zs, members, iterations)
    if classes is None:
        fitted = eqx.tree_at(lambda p: p.logits, mixture, logits[0])
    else:
        fitted = ConditionalMixture(classes, zs.shape[1], components, key=start_key)
        fitted = eqx.tree_at(lambda p: (p.mixture, p.weight), fitted, (mixture, logits))
    return eqx.tree_at(lambda m: m.prior, model, fitted)


@eqx.filter_jit
def _scatter(zs: Float[Array, " n latent"], count: int, key: PRNGKeyArray) -> Float[Array, " count latent"]:
    """Chooses latents far from each other, so that no cluster goes without a component.

    Each is drawn with a probability that grows as the squared distance to the nearest one before it. Arthur &
    Vassilvitskii, "k-means++: the advantages of careful seeding", 2007, section 2.2.
    """

    def draw(i, carry):
        rows, nearest = carry
        row = jr.categorical(jr.fold_in(key, i), jnp.log(nearest))
        distance = jnp.sum((zs - zs[row][None]) ** 2, axis=1)
        return rows.at[i].set(row), jnp.minimum(nearest, distance)

    rows = jnp.zeros(count, jnp.int32)
    far = jnp.full(len(zs), jnp.finfo(zs.dtype).max)  # before the first, all are equally far
    return zs[lax.fori_loop(0, count, draw, (rows, far))[0]]


@eqx.filter_jit
def _climb(
    prior: MixtureOfNormals, zs: Float[Array, " n latent"], members: Float[Array, " n classes"], iterations: int
) -> tuple[MixtureOfNormals, Float[Array, " classes components"]]:
    """Fits the normals, and their logits in each class, by expectation-maximisation.

    Each class gets one example more, which is divided among the normals as all classes together are: a normal that has
    no example of a class stays possible there. A single class is left as it is.
    """
    # Without a floor a normal that has a single example left becomes a spike there.
    floor = 1e-4 * jnp.var(zs, axis=0)

    def step(_, carry):
        prior, logits = carry
        within = lambda z, member: jax.nn.softmax(prior.log_normals(z) + member @ logits)
        shares = jax.vmap(within)(zs, members)
        weight = jnp.sum(shares, axis=0)
        safe = jnp.maximum(weight, 1e-6)[:, None]
        mean = shares.T @ zs / safe
        deviation = zs[:, None] - mean[None]
        variance = jnp.einsum("nc,ncj->cj", shares, deviation**2) / safe + floor[None]
        logits = jnp.log(members.T @ shares + safe.T / len(zs))
        return eqx.tree_at(lambda p: (p.mean, p.log_scale), prior, (mean, 0.5 * jnp.log(variance))), logits

    logits = jnp.broadcast_to(prior.logits, (members.shape[1], prior.logits.size))
    return lax.fori_loop(0, iterations, step, (prior, logits))


def _check_ascent(model, xs, ys, prior, *, epochs: int, batch_size: int, learning_rate: float) -> None:
    check_counts("fit_prior", epochs=epochs)
    if not 1 <= batch_size <= len(xs):
        raise ValueError(f"`fit_prior(batch_size={batch_size})`: pass 1 to {len(xs)}, the number of examples")
    if not 0 < learning_rate < float("inf"):
        raise ValueError(f"`fit_prior(learning_rate={learning_rate})`: pass a finite number above 0, such as 1e-3")
    if not jax.tree.leaves(eqx.filter(prior, eqx.is_inexact_array)):
        raise ValueError(
            f"`fit_prior(prior={type(prior).__name__}(...))` has nothing to learn; pass one with parameters, or "
            "none for a mixture of normals"
        )
    # Scoring one example lets the model and the prior refuse each other before anything compiles.
    x = jnp.zeros(model.data_shape)
    y = None if ys is None else np.asarray(ys)[0]
    with_prior = eqx.tree_at(lambda m: m.prior, model, prior)
    eqx.filter_eval_shape(lambda m: given(m, y).draw(x, k=1, key=jr.key(0)), with_prior)


def _ascend(model, xs, ys, prior, *, epochs, batch_size, learning_rate, observe, progress, key):
    from tqdm import tqdm

    optimiser = optax.adam(learning_rate)
    state = optimiser.init(eqx.filter(prior, eqx.is_inexact_array))
    labels = None if ys is None else jnp.asarray(ys)
    with tqdm(total=epochs, unit=" epochs", desc="prior", disable=not progress) as bar:
        for epoch in range(epochs):
            draw_key, order_key = jr.split(jr.fold_in(key, epoch))
            zs = draw_latents(model, xs, ys=ys, observe=observe, key=draw_key)
            order = jr.permutation(order_key, len(xs))
            prior, state, value = _run_epoch(prior, state, model, zs, labels, order, optimiser, batch_size)
            bar.set_postfix(log_prior=f"{float(value):.4g}", refresh=False)
            bar.update()
    return eqx.tree_at(lambda m: m.prior, model, prior)


@eqx.filter_jit
def _run_epoch(prior, state, model, zs, ys, order, optimiser, batch_size) -> tuple[Any, Any, Array]:
    """Passes over the latents once; the prior, the optimiser's state and the mean log p(z), nats."""
    steps = order.size // batch_size
    dynamic, static = eqx.partition(prior, eqx.is_inexact_array)

    def mean_log_prior(dynamic, zs, ys):
        prior = eqx.combine(dynamic, static)

        def log_prior(z, y):
            # A prior may depend on the label, as part of a model that is given it.
            with_prior = eqx.tree_at(lambda m: m.prior, given(model, y), prior)
            return with_prior.latent_prior.log_prob(z)

        return jnp.mean(jax.vmap(log_prior, axis_name="batch")(zs, ys))

    def body(i, carry):
        dynamic, state, total = carry
        rows = lax.dynamic_slice_in_dim(order, i * batch_size, batch_size)
        batch = jax.tree.map(lambda leaf: leaf[rows], (zs, ys))
        value, gradient = jax.value_and_grad(lambda dynamic: -mean_log_prior(dynamic, *batch))(dynamic)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes integers and floats
            updates, state = optimiser.update(gradient, state, dynamic)
        return eqx.apply_updates(dynamic, updates), state, total - value

    dtype = jnp.result_type(*jax.tree.leaves(dynamic))
    dynamic, state, total = lax.fori_loop(0, steps, body, (dynamic, state, jnp.zeros((), dtype)))
    return eqx.combine(dynamic, static), state, total / steps
