import contextlib
import os
from typing import Any


# A device with fewer examples of a batch waits for the others longer than it works.
EXAMPLES = 16


def mesh_of(devices: int | None, shared: int, *, at_least: int = 1, distributed: bool = False) -> Any:
    """The devices that share so many examples, or runs; `None` for one device. Of several processes all.

    Unless their number is given they are the cores of a CPU, as many as get equal shares of `at_least` or more. XLA
    runs what is element-wise, and in its older versions convolutions too, on one core of each device.

    **Raises:** `ValueError` where there are fewer.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    unless_given = 1 if distributed else fair_share(shared, cores, at_least=at_least)
    wanted = unless_given if devices is None else devices
    if wanted == 1 and not distributed:
        return None
    import jax

    import zoo

    if wanted > 1:
        with contextlib.suppress(RuntimeError):  # jax has started already, with the devices that it has
            jax.config.update("jax_num_cpu_devices", wanted)
    if devices is None and not distributed and (jax.default_backend() != "cpu" or len(jax.devices()) < wanted):
        return None
    return zoo.train.data_mesh(None if distributed else wanted)


def fair_share(shared: int, among: int, *, at_least: int = 1) -> int:
    """The largest number of devices, up to so many, that can be given equal shares of `at_least` or more."""
    return max((n for n in range(1, among + 1) if shared % n == 0 and shared // n >= at_least), default=1)
