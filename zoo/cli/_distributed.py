import contextlib
import os
import re
import sys
import traceback
from collections.abc import Iterator

from ._arguments import Train


HEARTBEAT = 10
"""Seconds without a sign of life after which a process counts as dead, and the others end."""

_LOST = "(UNKNOWN|UNAVAILABLE|ABORTED|INTERNAL|DEADLINE_EXCEEDED): "


@contextlib.contextmanager
def processes_joined(arguments: Train) -> Iterator[bool]:
    """While it lasts this process trains together with the others of the run; yields whether it is the one that writes.

    Without `--distributed` there are no others. What the flags leave out is found by `jax.distributed` in the
    environment that Slurm, Open MPI or Kubernetes sets.

    **Raises:** `ValueError` where the coordinator, the number of processes or the index is not to be found.
    """
    if not arguments.distributed:
        for name in ("coordinator", "processes", "process"):
            if getattr(arguments, name) is not None:
                raise ValueError(f"`--{name} {getattr(arguments, name)}` needs --distributed; pass that too")
        yield True
        return
    import jax

    jax.config.update("jax_enable_preemption_service", False)  # it would take SIGTERM for itself
    index = os.environ.get("JOB_COMPLETION_INDEX")  # of an indexed job of Kubernetes
    number = int(index) if arguments.process is None and index is not None else arguments.process
    try:
        jax.distributed.initialize(
            arguments.coordinator, arguments.processes, number, heartbeat_timeout_seconds=HEARTBEAT
        )
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"`--distributed --coordinator {arguments.coordinator} --processes {arguments.processes} --process "
            f"{number}`: {error}; pass those that the environment does not give"
        ) from None
    try:
        yield jax.process_index() == 0
        jax.distributed.shutdown()
    except BaseException as error:
        _leave(error, jax.process_index(), jax.process_count())


def _leave(error: BaseException, index: int, count: int) -> None:
    """Ends this process at once. An orderly end would wait for the others, and they for this one."""
    reason = str(error)
    match error:
        case KeyboardInterrupt():
            code, reason = 130, "interrupted"
        case SystemExit():
            code = error.code if isinstance(error.code, int) else 1
        # A collective operation fails with a status, which jax makes an error of this kind or that.
        case RuntimeError() | ValueError() if re.match(_LOST, reason):
            code, line = 2, reason.splitlines()[0]
            reason = f"another process was lost ({line}); start all of them again with --resume"
        case ValueError() | OSError() | FloatingPointError():
            code = 2
        case _:
            code, reason = 1, traceback.format_exc()
    print(f"zoo train: process {index} of {count}: {reason}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(code)
