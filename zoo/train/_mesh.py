import contextlib
import os

import jax
from jax.sharding import AxisType, Mesh


def data_mesh(devices: int | None = None) -> Mesh:
    """Devices in a row: the `mesh` over which `fit` divides its batches.

    **Arguments:** `devices`: how many, the first ones; all unless given.

    Several devices of a CPU exist only if asked for before jax starts:
    `jax.config.update("jax_num_cpu_devices", 4)`, which `choose_mesh` does.

    **Raises:** `ValueError` where there are fewer devices.
    """
    there = jax.devices()
    devices = len(there) if devices is None else devices
    if not 1 <= devices <= len(there):
        raise ValueError(
            f"`data_mesh({devices})`: there are {len(there)} devices ({there[0].platform}); pass 1 to {len(there)}, or "
            "for more devices of a CPU start with XLA_FLAGS=--xla_force_host_platform_device_count=<number>"
        )
    return jax.make_mesh((devices,), ("data",), axis_types=(AxisType.Auto,), devices=there[:devices])


def choose_mesh(shared: int, *, devices: int | None = None, at_least: int = 16) -> Mesh | None:
    """The devices among which a batch is best divided, as the `mesh` of `fit`: the cores of a CPU.

    XLA runs what is element-wise, and in its older versions convolutions too, on one core of each device. So each core
    becomes a device, as many of them as get equal shares that are not too small. It has to be called before jax
    starts its devices; afterwards it makes do with those that there are. Among processes that have joined
    (`join_processes`) the answer is all devices of all of them.

    **Arguments:**

    - `shared`: how many examples are divided at a time: a batch, or one of its `microbatches`; for `fit_many` the
      number of models.
    - `devices`: how many to take, of whatever kind; with joined processes, how many devices of a CPU each of them
      has. Unless given, the cores of a CPU in one process, and 1 elsewhere.
    - `at_least`: the smallest share of a core. A device with fewer than 16 examples of a batch waits for the others
      longer than it works; of models 1 is enough.

    **Returns:** the mesh, or `None` where one device does all.

    **Raises:** `ValueError` where there are fewer devices than `devices`.
    """
    joined = jax.distributed.is_initialized()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    unless_given = 1 if joined else count_equal_shares(shared, cores, at_least=at_least)
    wanted = unless_given if devices is None else devices
    if wanted == 1 and not joined:
        return None
    if wanted > 1:
        with contextlib.suppress(RuntimeError):  # jax has started already, with the devices that it has
            jax.config.update("jax_num_cpu_devices", wanted)
    if devices is None and not joined and (jax.default_backend() != "cpu" or len(jax.devices()) < wanted):
        return None
    return data_mesh(None if joined else wanted)


def count_equal_shares(shared: int, at_most: int, *, at_least: int) -> int:
    """The largest number of equal parts, up to `at_most`, into which `shared` can be divided so that each has at least
    `at_least`.
    """
    return max((n for n in range(1, at_most + 1) if shared % n == 0 and shared // n >= at_least), default=1)
