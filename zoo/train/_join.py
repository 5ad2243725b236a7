import contextlib
import os
import re
import sys
import traceback
from collections.abc import Iterator

import jax


# Seconds without a sign of life after which a process counts as dead, and the others end.
_HEARTBEAT = 10
# How the status begins with which a collective operation fails.
_LOST = "(UNKNOWN|UNAVAILABLE|ABORTED|INTERNAL|DEADLINE_EXCEEDED): "


@contextlib.contextmanager
def join_processes(
    coordinator: str | None = None, processes: int | None = None, process: int | None = None
) -> Iterator[bool]:
    """Lets several processes, on one machine or on many, train one model together.

    Each of them runs the same program, and inside `with join_processes(...) as first:` calls `fit` with
    `mesh=data_mesh()` or `mesh=choose_mesh(...)`. `jax.distributed` finds what is not given in the environment that
    Slurm, Open MPI or Kubernetes sets. jax must not have started its devices before.

    A process that leaves by an error ends at once, with one line on standard error, or a traceback where the error is
    unexpected; the others then end within seconds. To go on, start all of them again with `fit(resume=True)`.

    **Arguments:**

    - `coordinator`: host and port of the first process.
    - `processes`: how many there are.
    - `process`: which this is, from 0.

    **Returns:** a context manager, whose value is whether this process is the first, which keeps the run's directory.

    **Raises:** `ValueError` where the coordinator, the number of processes or the index is not to be found.
    """
    jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM for itself
    index = os.environ.get("JOB_COMPLETION_INDEX")  # of an indexed job of Kubernetes
    number = int(index) if process is None and index is not None else process
    try:
        jax.distributed.initialize(coordinator, processes, number, heartbeat_timeout_seconds=_HEARTBEAT)
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"`join_processes(coordinator={coordinator!r}, processes={processes}, process={number})`: {error}; pass "
            "those that the environment does not give"
        ) from None
    try:
        yield jax.process_index() == 0
        jax.distributed.shutdown()
    except BaseException as error:
        _end_process(error, jax.process_index(), jax.process_count())


def _end_process(error: BaseException, index: int, count: int) -> None:
    """Ends this process at once. An orderly end would wait for the others, and they for this one."""
    reason = str(error)
    match error:
        case KeyboardInterrupt():
            code, reason = 130, "interrupted"
        case SystemExit():
            code = error.code if isinstance(error.code, int) else 1
        # jax makes a failed status an error of this kind or that.
        case RuntimeError() | ValueError() if re.match(_LOST, reason):
            code, line = 2, reason.splitlines()[0]
            reason = (
                f"another process was lost ({line}); start all of them again with resume=True (`zoo train --resume`)"
            )
        case ValueError() | OSError() | FloatingPointError():
            code = 2
        case _:
            code, reason = 1, traceback.format_exc()
    print(f"zoo: process {index} of {count}: {reason}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(code)
