import json
import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from jaxtyping import PyTree

from ..files import load, save


def is_shared(mesh: Mesh | None) -> bool:
    """Whether several processes train one model on this mesh."""
    return mesh is not None and mesh.is_multi_process


def keeps_directory(mesh: Mesh | None) -> bool:
    """Whether this process is the one that writes to the run's directory."""
    return not is_shared(mesh) or jax.process_index() == 0


def take_own_copy(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """Takes what lies whole on every device of the mesh from the first device of this process alone.

    A computation with it needs no other device, and so no other process.
    """
    if mesh is None:
        return tree
    return jax.tree.map(lambda leaf: leaf.addressable_data(0) if isinstance(leaf, jax.Array) else leaf, tree)


def broadcast_run(
    state: PyTree, history: list[dict[str, Any]], mesh: Mesh | None
) -> tuple[PyTree, list[dict[str, Any]]]:
    """Sends the state and the history of process 0 to every process.

    **Raises:** `ValueError` where this process would train something else, naming both sides.
    """
    if not is_shared(mesh):
        return state, history
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "state.safetensors"
        if keeps_directory(mesh):
            save(file, state)
        message = _broadcast(file.read_bytes() if keeps_directory(mesh) else b"")
        history = json.loads(_broadcast(json.dumps(history).encode()))
        if keeps_directory(mesh):
            return state, history
        file.write_bytes(message)
        return load(file, like=state, allow_nonfinite=True), history


def agree_on_steps(steps: int, mesh: Mesh | None) -> int:
    """Agrees with the other processes how many steps all take next: as many as process 0 would, but 0 if any has to
    stop.

    How long a step takes, and which signals arrive, each of them sees differently.
    """
    if not is_shared(mesh):
        return steps
    wanted = multihost_utils.process_allgather(np.int32(steps))
    return int(wanted[0]) if np.all(wanted) else 0


def _broadcast(message: bytes) -> bytes:
    """Sends the message of process 0 to all; what the others pass has no part in it."""
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(message))))
    buffer = np.zeros(length, np.uint8)
    if jax.process_index() == 0:
        buffer[:] = np.frombuffer(message, np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(buffer), np.uint8).tobytes()
