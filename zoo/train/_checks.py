from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from jax.sharding import AxisType, Mesh

from .._checks import check_counts
from ..evaluate import check_evaluation, check_examples
from ..models import AbstractVAE, check_labels, observe_example
from ..nn import batch_norms
from ._judgement import Judgement
from ._loss import judge_batch, split_batch_key


def check_fit(
    model: AbstractVAE,
    xs: Any,
    held_out: Any,
    *,
    ys: Any = None,
    held_out_ys: Any = None,
    judgement: Judgement,
    batch_size: int,
    epochs: int,
    observe: Callable | None,
    held_out_every: int | None = None,
    checkpoint: Any = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    mesh: Mesh | None = None,
    microbatches: int = 1,
) -> None:
    """Refuse a training run that cannot work, in Python and before anything compiles.

    **Arguments:** `judgement`: a `Judgement`; the others as in `zoo.fit`.

    **Raises:** `ValueError` naming the argument, its value and the way out.
    """
    check_evaluation("fit", model, xs, ys, k=judgement.k, observe=observe)
    if held_out is not None:
        check_examples("fit(held_out)", model, held_out, observe=observe)
        check_labels("fit(held_out_ys)", model, held_out_ys, len(held_out))
    steps = {"checkpoint_every": checkpoint_every, "held_out_every": held_out_every}
    given = {name: every for name, every in steps.items() if every is not None}
    check_counts("fit", epochs=epochs, batch_size=batch_size, **given)
    if batch_size > len(xs):
        raise ValueError(
            f"`fit(batch_size={batch_size})` needs at least {batch_size} examples, got {len(xs)}; "
            "pass a smaller batch_size"
        )
    if resume and checkpoint is None:
        raise ValueError("`fit(resume=True)`: there is nothing to go on from; pass checkpoint=, the run's directory")
    if mesh is not None:
        check_mesh("fit", mesh, batch_size)
    devices = 1 if mesh is None else mesh.size
    check_microbatches(
        "fit", model, microbatches, batch_size=batch_size, penalties=judgement.penalties, devices=devices
    )
    check_judgement(judgement, model, xs, ys, observe=observe, batch_size=batch_size)
    judgement.check_length(epochs * (len(xs) // batch_size))


def check_mesh(call: str, mesh: Mesh, batch_size: int) -> None:
    """Refuse a mesh over which a batch cannot be divided."""
    if mesh.axis_names != ("data",) or mesh.axis_types != (AxisType.Auto,):
        raise ValueError(
            f"`{call}(mesh=...)` needs one axis 'data' of AxisType.Auto, got {mesh.axis_names} of {mesh.axis_types}; "
            "`zoo.train.data_mesh(devices)` makes it"
        )
    # A process without a device in the mesh has nothing to train with.
    if mesh.is_multi_process and mesh.size != jax.device_count():
        raise ValueError(
            f"`{call}(mesh=...)` has {mesh.size} of the {jax.device_count()} devices of {jax.process_count()} "
            "processes; pass `zoo.train.data_mesh()`, all of them"
        )
    if batch_size % mesh.size:
        raise ValueError(
            f"`{call}(mesh=...)` of {batch_size} examples: {mesh.size} devices need a multiple of {mesh.size}; pass "
            f"{-(-batch_size // mesh.size) * mesh.size}"
        )


def check_microbatches(
    call: str,
    model: AbstractVAE,
    microbatches: int,
    *,
    batch_size: int,
    penalties: Sequence[Callable],
    devices: int = 1,
) -> None:
    """Refuse microbatches that are unequal, or whose gradients do not average to the batch's."""
    argument = f"`{call}(microbatches={microbatches}"
    check_counts(call, microbatches=microbatches)
    if microbatches == 1:
        return
    if batch_size % (microbatches * devices):
        multiple = microbatches * devices
        parts = f"{microbatches} equal parts" + (f" on each of {devices} devices" if devices > 1 else "")
        raise ValueError(
            f"{argument})` cuts a batch into {parts}, got {batch_size} examples; pass a multiple of {multiple}, such "
            f"as {-(-batch_size // multiple) * multiple}"
        )
    if penalties:
        raise ValueError(
            f"{argument}, penalties=...)`: a penalty compares the examples of the whole batch, which is no mean over "
            "its parts; pass microbatches=1, or no penalties"
        )
    if batch_norms(model):
        raise ValueError(
            f"{argument})`: `BatchNorm` looks at the whole batch, and would see a part of it only; pass "
            'microbatches=1, or build the model with norm="group" or norm="none"'
        )


def check_many(models: Sequence, values: Sequence, keys: Any, common: dict[str, Any], mesh: Mesh | None) -> None:
    """Refuse models, values and keys that are not N of each, or not of one kind."""
    known = {"objective", "k", "observe", "optimiser", "estimator", "penalties", "microbatches"}
    if not set(common) <= known:
        raise ValueError(f"`fit_many` has no {sorted(set(common) - known)}; it shares {sorted(known)} with `fit`")
    if not len(models) == len(values) == len(keys) >= 1:
        raise ValueError(
            f"`fit_many` got {len(models)} models, {len(values)} values and {len(keys)} keys; pass as many of each"
        )
    check_alike(models)
    if mesh is not None and len(models) % mesh.size:
        raise ValueError(
            f"`fit_many` of {len(models)} models on {mesh.size} devices: pass a multiple of {mesh.size} models"
        )


def check_alike(models: Sequence) -> None:
    """Refuse models that cannot share one program: weights are stacked, and whatever else they hold is model 0's."""
    shapes = [jax.tree.map(lambda leaf: jax.typeof(leaf), eqx.filter(model, eqx.is_array)) for model in models]
    for i, model in enumerate(models):
        same = eqx.tree_equal(shapes[0], shapes[i]) is True
        if not same or not eqx.tree_equal(*(eqx.filter(m, eqx.is_array, inverse=True) for m in (models[0], model))):
            raise ValueError(
                f"`fit_many(models)`: model {i} differs from model 0 in more than its weights; train it by `fit`"
            )


def check_judgement(
    judgement: Judgement, model: AbstractVAE, xs: Any, ys: Any, *, observe: Callable | None, batch_size: int
) -> None:
    """Refuse an objective, an estimator and penalties that cannot judge this model, by the shapes of one batch.

    **Raises:** `ValueError` of whatever cannot do with the draws of this model, with the way out.
    """

    def judge(model, xs, ys, key):
        keys, penalty_key = split_batch_key(key, batch_size)
        seen = jax.vmap(lambda x, key: observe_example(model, observe, x, key=key))(xs, keys)
        return judge_batch(judgement.at(0), model, seen, ys, keys, penalty_key=penalty_key)[0]

    # NumPy's 64 bits become JAX's 32.
    batch = lambda rows: jax.ShapeDtypeStruct((batch_size, *rows.shape[1:]), jax.dtypes.canonicalize_dtype(rows.dtype))
    eqx.filter_eval_shape(judge, model, batch(xs), None if ys is None else batch(np.asarray(ys)), jr.key(0))
