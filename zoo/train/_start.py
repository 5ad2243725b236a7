import warnings
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .. import data
from ..evaluate import check_examples
from ..likelihoods import can_be_centred, centred, thin
from ..models import AbstractVAE, observe_example
from ..nn import is_untrained
from ._step import Model


# Examples by which the parameters of the likelihood start, and which tell the units.
_ROWS = 2048


def start(model: Model, xs: Array | np.ndarray, *, observe: Callable | None = None, key: PRNGKeyArray) -> Model:
    r"""The model in the units of the data, at their independent marginals: the first thing that `fit` does.

    Whatever the encoder says, $p(x \mid z) = \prod_j p(x_j)$ then, with the likelihood's parameters those that fit each
    dimension of the data best ([`Centred`][zoo.likelihoods.Centred]). Training begins at the ELBO of a model that knows
    each dimension and nothing else, whatever numbers the data are.

    A model that is centred already, or trained, stays as it is. `fit` calls this for you; call it yourself to look at
    the model before, or to train by steps of your own.

    **Arguments:**

    - `model`: any of the zoo's models, not trained.
    - `xs`: the training data; 2,048 of them are looked at.
    - `observe`: what the model sees of an example, as in `fit`.
    - `key`: for `observe`.

    **Raises:** `ValueError` for data that the model does not take.
    """
    check_examples("start(xs)", model, xs, observe=observe)
    return start_untrained(model, xs, observe=observe, key=key)


def start_untrained(model: Any, xs: Any, *, observe: Callable | None, key: PRNGKeyArray) -> Any:
    """Does what `start` does, for data that were looked at already."""
    if not can_be_centred(model.likelihood) or not is_untrained(vars(model).get("decoder")):
        return model
    seen = np.asarray(_see(model, observe, thin(xs, _ROWS), key))
    # What is not finite stops training, which says where it is.
    seen = seen[np.isfinite(seen).reshape(len(seen), -1).all(axis=1)]
    if len(seen) == 0:
        return model
    data.check_batch(seen, shape=model.data_shape, support=model.likelihood.support, call="fit(xs), observed")
    warn_of_columns(model, seen)
    likelihood = centred(model.likelihood, data.units(seen))
    return eqx.tree_at(lambda model: model.likelihood, model, likelihood)


def warn_of_columns(model: AbstractVAE, seen: Float[np.ndarray, " n ..."]) -> None:
    """Warn of columns that never vary, and where a density would be put on numbers that were rounded to a grid.

    **Arguments:** `model`; `seen`: what it sees of some examples.
    """
    if seen.ndim != 2 or len(seen) < 10 or model.likelihood.measure != "lebesgue":
        return
    constant = np.flatnonzero(np.ptp(seen, axis=0) == 0)
    if len(constant):
        warnings.warn(
            f"`fit`: columns {_in_brief(constant)} never vary, and a density of them says nothing; leave them out",
            stacklevel=4,
        )
    if model.likelihood.support == (0.0, 1.0):
        return  # pixels, of which the evaluator's own check speaks
    steps = data.find_grid(seen)
    rounded = np.flatnonzero(steps)
    if len(rounded):
        warnings.warn(
            f"`fit`: columns {_in_brief(rounded)} are rounded, to multiples of {_in_brief(steps[rounded])}, and a "
            "density of values that repeat has no upper bound; pass `observe=functools.partial(zoo.data.dequantise, "
            "step=zoo.data.find_grid(xs))` here and wherever the model is scored",
            stacklevel=4,
        )


def _in_brief(numbers: np.ndarray) -> str:
    few = ", ".join(f"{number:g}" for number in numbers[:5])
    return f"{few}, ... ({len(numbers)} in all)" if len(numbers) > 5 else few


@eqx.filter_jit
def _see(model: AbstractVAE, observe: Callable | None, xs: Array | np.ndarray, key: PRNGKeyArray) -> Array:
    return jax.vmap(lambda x, key: observe_example(model, observe, x, key=key))(xs, jr.split(key, len(xs)))
