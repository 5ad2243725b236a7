"""Which devices share a batch, unless their number is given."""

import subprocess
import sys

import pytest

from zoo.train import choose_mesh
from zoo.train._mesh import count_equal_shares


@pytest.mark.parametrize(
    "shared, among, at_least, devices",
    [(32, 2, 16, 2), (32, 64, 16, 2), (128, 8, 16, 8), (20, 4, 16, 1), (48, 4, 16, 3), (1, 8, 16, 1), (6, 4, 1, 3)],
)
def test_shares_are_equal_and_not_too_small(shared, among, at_least, devices):
    assert count_equal_shares(shared, among, at_least=at_least) == devices


def test_a_cpu_has_a_device_for_each_core_that_gets_a_share():
    code = (
        "import os\n"
        "os.sched_getaffinity = lambda process: range(3)\n"
        "import jax; from zoo.train import choose_mesh\n"
        "print(choose_mesh(48, devices=1), choose_mesh(20), choose_mesh(48).size)\n"
        "jax.distributed.is_initialized = lambda: True\n"
        "print(choose_mesh(48).size)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["None", "None", "3", "3"], done.stderr


def test_none_is_too_few():
    with pytest.raises(ValueError, match=r"`data_mesh\(0\)`.*pass 1 to"):
        choose_mesh(32, devices=0)
