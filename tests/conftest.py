import functools
import gc
import os
import tempfile

import jax
import pytest


if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    # What one process has compiled, the other workers and the programs that tests start need not compile again.
    # Only of this run: left to itself the folder would grow with every change.
    CACHE = tempfile.TemporaryDirectory(prefix="zoo-tests-", ignore_cleanup_errors=True)
    CACHE_SETTINGS = {
        "jax_compilation_cache_dir": CACHE.name,
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    for name, value in CACHE_SETTINGS.items():
        os.environ[name.upper()] = str(value)  # workers and started programs read it from here
        jax.config.update(name, value)

# Every worker has a core: a program that is compiled in parts by many threads takes a tenth more of it.
FLAGS = ["--xla_cpu_parallel_codegen_split_count=1"]
if jax.__version_info__ < (0, 11):
    # XLA's older code generator takes half the time of the newer, and later versions have only that.
    FLAGS += ["--xla_cpu_use_fusion_emitters=false"]
os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *FLAGS])

# A trace makes many objects that stay: to look for garbage after every 700 of them takes a thirteenth of the time.
gc.set_threshold(50_000, 20, 50)

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
# Here the last bits, or what XLA makes of the program, are what is tested.
OPTIMISED = {"test_special", "test_likelihoods", "test_conv_speed"}


@pytest.fixture(autouse=True, scope="module")
def compile_quickly(request):
    """Most of what is compiled in a test runs once: leaving it unoptimised takes a third off the whole suite's time."""
    quick = request.module.__name__ not in OPTIMISED
    if quick != jax.config.read("jax_disable_most_optimizations"):
        jax.clear_caches()  # what was compiled the other way would be used again
    jax.config.update("jax_disable_most_optimizations", quick)
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = str(int(quick))  # for the processes that tests start


@pytest.fixture(autouse=True)
def forget_slow_programs(request):
    """A sweep's hundreds of large programs, each run once, would in the end be more than a process can map."""
    yield
    if request.node.get_closest_marker("slow"):
        jax.clear_caches()


@pytest.fixture
def with_devices():
    """The environment of a program that sees a number of devices."""
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count={}"
    fixed = {"JAX_PLATFORMS": "cpu"}
    return lambda count: os.environ | fixed | {"XLA_FLAGS": flags.format(count)}


@pytest.fixture(scope="module")
def coarse_densities():
    """Pictures of a model's density from 20 latents in place of 5,000."""
    import zoo

    with pytest.MonkeyPatch.context() as patch:
        coarse = functools.partial(zoo.plots.model_log_density, k=20)
        patch.setattr(zoo.plots, "model_log_density", coarse)
        yield
