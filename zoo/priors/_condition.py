from typing import Any

from jaxtyping import Array, Float


def condition_of(prior: Any, model: Any) -> Float[Array, " condition"]:
    """The label, as a vector, of the model that a conditional prior serves.

    **Arguments:** `prior`: with its `condition_size`; `model`: a `ConditionalVAE` at one label.

    **Raises:** `ValueError` for a model without a label, and for a label of another size than the prior's.
    """
    name = type(prior).__name__
    condition = getattr(model, "condition", None)
    if condition is None:
        raise ValueError(
            f"`{name}` needs a label, and this `{type(model).__name__}` has none; use it in a `ConditionalVAE`, and "
            "call `model.given(y)` or pass the labels"
        )
    if condition.size != prior.condition_size:
        raise ValueError(
            f"`{name}(condition_size={prior.condition_size})` cannot take this `{type(model).__name__}`'s labels of "
            f"{condition.size} numbers; build it with condition_size={condition.size}"
        )
    return condition
