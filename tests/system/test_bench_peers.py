"""zcload's lanes beside iperf3: both run, and the tables go where a page has their markers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from support.paths import ROOT

SCRIPT = ROOT / "benchmarks" / "peers" / "side_by_side.py"


def side_by_side(*arguments):
    """Run the comparison with as little as makes a table."""
    few = ["--rounds", "2", "--chunks", "128KiB", "--senders", "1", "--file-size", "256MiB", *arguments]
    return subprocess.run([sys.executable, str(SCRIPT), *few], capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.serial
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("iperf3") is None, reason="no iperf3: apt-get install iperf3")
@pytest.mark.skipif(not {0, 1} <= os.sched_getaffinity(0), reason="it pins to CPU 0 and CPU 1, and may not use both: taskset -c 0,1")
def test_both_programs_are_measured_and_written(tmp_path):
    """Each of the three pairs has a row for goodput, sender and receiver, and the page keeps what stands around the markers."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- peers -->\nold\n<!-- end of peers -->\nafter\n")
    done = side_by_side("--write", str(page))
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")] for line in done.stdout.splitlines() if line.startswith("| 128KiB")]
    assert [(row[3], row[5]) for row in rows] == [
        (name, figure) for name in ("one chunk", "`read_send`", "`sendfile`") for figure in ("Gbit/s", "sender, s/GB", "receiver, s/GB")
    ]
    assert all(float(row[at]) > 0 for row in rows for at in (6, 7))
    written = page.read_text()
    assert written.startswith("before\n<!-- peers -->\n")
    assert written.endswith("<!-- end of peers -->\nafter\n")
    assert "old" not in written
    assert rows[0][8] in written


def test_without_iperf3_the_remedy_is_named():
    """Where there is no iperf3 the message says how to get one, and no traceback comes."""
    done = side_by_side("--iperf3", "no-such-iperf3")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "'no-such-iperf3' is not on PATH; install it (Debian, Ubuntu: apt install iperf3) or name it: --iperf3 PROGRAM\n"
    )
