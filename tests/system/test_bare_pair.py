"""zcload's lanes beside the C pair: both run and report, and without a compiler the user learns what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from support.paths import ROOT

SCRIPT = ROOT / "benchmarks" / "bare" / "side_by_side.py"


def side_by_side(*arguments, **environment):
    """Run the comparison with as little as makes a table."""
    few = ["--rounds", "2", "--seconds", "0.05", "--chunks", "64KiB", "--file-size", "1MiB", *arguments]
    return subprocess.run(
        [sys.executable, str(SCRIPT), *few], capture_output=True, text=True, timeout=300, env={**os.environ, **environment}, check=False
    )


@pytest.mark.serial
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: apt-get install gcc")
@pytest.mark.skipif(not {0, 1} <= os.sched_getaffinity(0), reason="it pins to CPU 0 and CPU 1, and may not use both: taskset -c 0,1")
@pytest.mark.parametrize("sink", ["recv", "discard"])
def test_both_instruments_report_every_mechanism(sink):
    """Each mechanism has a row for the sender, the receiver and both, and one for goodput; all but the baseline have a saving."""
    done = side_by_side("--sink", sink, "--mechanisms", "read_send", "mmap_send", "sendfile", "splice")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    for mechanism in ("read_send", "mmap_send", "sendfile", "splice"):
        costs = {
            row[2]: [float(value) for value in row[3:6]] for row in rows if row[1:2] == [mechanism] and len(row) > 5 and "apart" not in row
        }
        assert set(costs) == {"sender", "receiver", "total"}
        assert all(value > 0 for values in costs.values() for value in values)
    goodputs = [row[1:3] for row in rows if row[:1] == ["goodput"]]
    assert len(goodputs) == 4
    assert all(float(value) > 0 for pair in goodputs for value in pair)
    assert sum(row[-1:] == ["apart"] for row in rows) == 3


@pytest.mark.serial
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: apt-get install gcc")
@pytest.mark.skipif(not {0, 1} <= os.sched_getaffinity(0), reason="it pins to CPU 0 and CPU 1, and may not use both: taskset -c 0,1")
def test_each_change_of_memory_or_sockets_has_its_line():
    """The luck of memory is told for every case: other pages, huge pages, the kernel's own socket buffers, receives of other sizes."""
    script = SCRIPT.with_name("memory_luck.py")
    few = ["--rounds", "2", "--seconds", "0.05", "--file-size", "4MiB", "--files", "1", "--mechanisms", "sendfile"]
    done = subprocess.run([sys.executable, str(script), *few], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    for case in ("as it is", "same again", "other file 1", "buffers in huge pages", "sockets autotuned", "receives of 64 KiB"):
        (line,) = [line for line in done.stdout.splitlines() if line.startswith(f"  {case} ")]
        assert all(float(line.split(end)[1].split()[0]) > 0 for end in ("sender", "receiver"))


def test_without_a_compiler_the_remedy_is_named(tmp_path):
    """Where there is no compiler the message names it and how to get one, and no traceback comes."""
    shutil.copytree(SCRIPT.parent, tmp_path / "bare", ignore=shutil.ignore_patterns("pair", "__pycache__"))
    done = subprocess.run(
        [sys.executable, str(tmp_path / "bare" / SCRIPT.name)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "CC": "no-such-compiler"},
        check=False,
    )
    assert done.returncode == 1
    assert "no C compiler" in done.stderr
    assert "apt install gcc" in done.stderr
    assert "Traceback" not in done.stderr
