import jax
from jax.sharding import AxisType, Mesh


def data_mesh(devices: int | None = None) -> Mesh:
    """Devices in a row: the `mesh` over which `fit` divides its batches.

    **Arguments:** `devices`: how many, the first ones; all unless given.

    Several devices of a CPU exist only if asked for before jax starts:
    `jax.config.update("jax_num_cpu_devices", 4)`.

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
