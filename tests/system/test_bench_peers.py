"""zcload's lanes beside iperf3: both run, and the tables go where a page has their markers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from support.paths import ROOT

SCRIPT = ROOT / "benchmarks" / "peers" / "side_by_side.py"


# What stands for the programs: each takes one connection's worth of time and prints what the real one does.
LISTENER = """
import signal, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[sys.argv.index("-p") + 1])))
signal.pause()
"""
NETPERF = """
print("2097152 2097152 131072    1.01     12000.00")
print("8       8      0       0       1.5e+09  131072.00    11444   131072.00 11444")
"""
NEPER = """
import socket, sys
port = int(sys.argv[sys.argv.index("-C") + 1])
if "-c" in sys.argv:
    socket.create_connection(("127.0.0.1", port)).close()
else:
    socket.create_server(("127.0.0.1", port)).accept()
    log = next(word[2:] for word in sys.argv if word.startswith("-A"))
    open(log, "w").write("tid,flow_id,time,bytes_read\\n0,0,1.0,0\\n0,0,2.0,1000000000\\n")
    print("throughput_units=Mbit/s\\nlocal_throughput=8000000000")
"""


def side_by_side(*arguments):
    """Run the comparison with as little as makes a table."""
    few = ["--rounds", "1", "--chunks", "128KiB", "--senders", "1", "--file-size", "256MiB", *arguments]
    return subprocess.run([sys.executable, str(SCRIPT), *few], capture_output=True, text=True, timeout=300, check=False)


def rows(text):
    """Return the cells of each row of the table in *text*."""
    return [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.startswith("| 128KiB")]


@pytest.mark.serial
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("iperf3") is None, reason="no iperf3: apt-get install iperf3")
@pytest.mark.skipif(not {0, 1} <= os.sched_getaffinity(0), reason="it pins to CPU 0 and CPU 1, and may not use both: taskset -c 0,1")
def test_both_programs_are_measured_and_written(tmp_path):
    """Each of the three pairs has a row for goodput, sender and receiver, and the page keeps what stands around the markers."""
    page, series = tmp_path / "page.md", tmp_path / "series"
    page.write_text("before\n<!-- peers -->\nold\n<!-- end of peers -->\nafter\n")
    done = side_by_side("--keep", str(series), "--write", str(page))
    assert done.returncode == 0, done.stderr
    found = rows(done.stdout)
    assert [(row[4], row[5], row[7]) for row in found] == [
        (ours, theirs, figure)
        for ours, theirs in (("`sendfile`, one chunk", "`iperf3` -Z"), ("`read_send`", "`iperf3` -F FILE"), ("`sendfile`", "`iperf3` -Z"))
        for figure in ("Gbit/s", "sender, s/GB", "receiver, s/GB")
    ]
    assert all(float(row[at]) > 0 for row in found for at in (8, 9))
    written = page.read_text()
    assert written.startswith("before\n<!-- peers -->\n")
    assert written.endswith("<!-- end of peers -->\nafter\n")
    assert "old" not in written
    assert found[0][10] in written
    again = side_by_side("--keep", str(series), "--rounds", "0")
    assert rows(again.stdout) == found


@pytest.mark.serial
@pytest.mark.slow
@pytest.mark.skipif(not {0, 1} <= os.sched_getaffinity(0), reason="it pins to CPU 0 and CPU 1, and may not use both: taskset -c 0,1")
def test_programs_given_by_path_are_run_and_their_output_is_read(tmp_path):
    """netperf and neper are started by the path that is given, with the chunk, and what they print becomes the peer's goodput."""
    for name, text in {"netperf": NETPERF, "netserver": LISTENER, "tcp_stream": NEPER}.items():
        (tmp_path / name).write_text(f"#!{sys.executable}\n{text}")
        (tmp_path / name).chmod(0o755)
    done = side_by_side("--cases", "netperf", "neper", "--netperf", str(tmp_path / "netperf"), "--neper", str(tmp_path / "tcp_stream"))
    assert done.returncode == 0, done.stderr
    goodputs = {row[5]: row[9] for row in rows(done.stdout) if row[7] == "Gbit/s"}
    assert goodputs == {"`netperf` whole file": "12.0", "`neper` one buffer": "8.0"}
    assert f"{tmp_path / 'netperf'} -H 127.0.0.1 -p PORT -t TCP_SENDFILE -F FILE -l 1 -P 0 -v 2 -W 2048,1 -- -m 131072" in done.stdout


@pytest.mark.skipif(not {0, 1} <= os.sched_getaffinity(0), reason="it pins to CPU 0 and CPU 1, and may not use both: taskset -c 0,1")
def test_kept_rounds_are_shown_only_with_the_options_that_they_were_measured_with(tmp_path):
    """The page says how its rounds were measured; of kept rounds that were measured otherwise, or do not say how, it shows none."""
    series, how = tmp_path / "series", "file of 256MiB in huge pages, socket buffers of 1MiB, 1 s a program and round"
    round_ = [[131072, 1, "recv", "neper"], [4e9, 0.1, 0.2], [2e9, 0.2, 0.4]]
    show = ("--keep", str(series), "--rounds", "0", "--cases", "neper", "--neper", sys.executable)
    series.write_text(f"{json.dumps([*round_, how])}\n")
    shown = side_by_side(*show)
    assert f", {how}.\n" in shown.stdout, shown.stderr
    assert [row[8:10] for row in rows(shown.stdout)] == [["4.0", "2.0"], ["0.100", "0.200"], ["0.200", "0.400"]]
    for line, options, found in (
        ([*round_, how], ("--seconds", "5"), how),
        ([*round_, how], ("--file-pages", "small"), how),
        (round_, (), "it does not say how"),
    ):
        series.write_text(f"{json.dumps(line)}\n")
        refused = side_by_side(*show, *options)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert f"{series} has rounds of another kind ({found}); give the same options" in refused.stderr


def test_without_iperf3_the_remedy_is_named():
    """Where there is no iperf3 the message says how to get one, and no traceback comes."""
    done = side_by_side("--iperf3", "no-such-iperf3")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "'no-such-iperf3' is not on PATH; install it (Debian, Ubuntu: apt install iperf3) or name it: --iperf3 PROGRAM\n"
    )
