"""Every bar of speed, one table after the other.

    python benchmarks/speed.py [--torch-python ../torch-venv/bin/python]

Half an hour on two quiet cores. What each script answered, and what was tried where a bar is missed, stands on top of
it. Two bars need no clock: the fast convolutions' gradients are those of plain autodiff (`tests/test_conv.py`), and
streaming's temporaries are counted (`evaluation.py`).
"""

import subprocess
import sys
from pathlib import Path

from interleave import parser


SCRIPTS = (
    ("step_time.py", True, ("--devices", "2")),
    ("iwae_time.py", True, ("--devices", "2")),
    ("epoch_overhead.py", False, ()),
    ("evaluation.py", False, ("--rounds", "4", "--examples", "1")),
    ("scaling.py", False, ()),
    ("start_time.py", False, ()),
    ("convolution.py", False, ()),
)


def main():
    arguments = parser(__doc__).parse_args()
    failed = []
    for script, compared, options in SCRIPTS:
        command = [sys.executable, str(Path(__file__).parent / script), *options]
        if compared and arguments.torch_python:
            command += ["--torch-python", arguments.torch_python]
        print(f"\n== {script} {' '.join(options)}", flush=True)
        if subprocess.run(command).returncode:
            failed.append(script)
    if failed:
        raise SystemExit(f"{', '.join(failed)} did not end well: see above")


if __name__ == "__main__":
    main()
