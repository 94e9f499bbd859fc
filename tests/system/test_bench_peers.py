"""zcload's lanes beside other programs: all run, and tables and charts show the kept rounds as they were measured."""

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
    """Return the cells of each row of the tables in *text*."""
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith(("| 128KiB", "| each one's"))]


def kept_round(case, goodputs=(4e9, 2e9), *, chunk=131072, **conditions):
    """Return the line of a kept round in which zcload and the peer had such *goodputs*, and costs of 0.1 and 0.2 s/GB a end."""
    how = {
        "file_size": 1 << 28,
        "file_pages": "huge",
        "socket_buffer": 1 << 20,
        "seconds": 1,
        "window": 1.0,
        "peer": "neper",
        "kernel": "6.18",
    }
    runs = [{"goodput_bps": goodput, "sender": cost, "receiver": 2 * cost} for goodput, cost in zip(goodputs, (0.1, 0.2), strict=True)]
    cell = {"case": case, "sink": "recv", "chunk": chunk, "senders": 1, "receivers": 1}
    return json.dumps({"cell": cell, "conditions": how | conditions, "zcload": runs[0], "peer": runs[1]}) + "\n"


@pytest.mark.serial
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("iperf3") is None, reason="no iperf3: apt-get install iperf3")
@pytest.mark.skipif(not {0, 1} <= os.sched_getaffinity(0), reason="it pins to CPU 0 and CPU 1, and may not use both: taskset -c 0,1")
def test_both_programs_are_measured_and_written(tmp_path):
    """Each of the three comparisons has a table with figures of both programs, and the page keeps what stands around the markers."""
    page, series = tmp_path / "page.md", tmp_path / "series"
    page.write_text("before\n<!-- peers -->\nold\n<!-- end of peers -->\nafter\n")
    done = side_by_side("--keep", str(series), "--write", str(page))
    assert done.returncode == 0, done.stderr
    headings = [line for line in done.stdout.splitlines() if line.startswith("#### ")]
    assert [next(word for word in ("same chunk", "copied", "against one chunk") if word in heading) for heading in headings] == [
        "same chunk",
        "copied",
        "against one chunk",
    ]
    found = rows(done.stdout)
    assert [row[:3] for row in found] == [["128KiB", "1", "1"]] * 3
    assert all(float(row[at]) > 0 for row in found for at in (3, 4, 6, 7, 9, 10))
    written = page.read_text()
    assert written.startswith("before\n<!-- peers -->\n")
    assert written.endswith("<!-- end of peers -->\nafter\n")
    assert "old" not in written
    assert rows(written) == found
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
    assert [row[4] for row in rows(done.stdout)] == ["12.0", "8.0"]  # in Gbit/s, in the order of the tables
    assert f"{tmp_path / 'netperf'} -H 127.0.0.1 -p PORT -t TCP_SENDFILE -F FILE -l 1 -P 0 -v 2 -W 2048,1 -- -m 131072" in done.stdout


def test_kept_rounds_of_other_conditions_have_a_table_of_their_own(tmp_path):
    """Rounds that were measured differently are never averaged; each table says how its rounds were measured."""
    series = tmp_path / "series"
    series.write_text(kept_round("neper") + kept_round("neper", (6e9, 2e9), file_pages="small") + kept_round("neper", (16e9, 8e9)))
    shown = side_by_side("--keep", str(series), "--rounds", "0")
    assert [row[:5] for row in rows(shown.stdout)] == [["128KiB", "1", "2", "8.0", "4.0"], ["128KiB", "1", "1", "6.0", "2.0"]], shown.stderr
    for pages in ("huge", "small"):
        assert f"File of 256MiB in {pages} pages, socket buffers of 1MiB, 1 s a program and round, neper, Linux 6.18:" in shown.stdout


def test_the_best_chunk_of_a_round_is_chosen_by_the_other_rounds(tmp_path):
    """A round that was lucky at one chunk does not choose that chunk for itself, so the best chunk's figure is not the best by luck."""
    series = tmp_path / "series"
    large = [kept_round("neper", (8e9, 2e9), chunk=1 << 20) for _ in range(4)]
    small = [kept_round("neper", (goodput, 2e9)) for goodput in (80e9, 1e9, 1e9, 1e9)]
    series.write_text("".join(large + small))
    (_, best) = rows(side_by_side("--keep", str(series), "--rounds", "0").stdout)
    assert best[:5] == ["each one's best", "1", "4", "8.0", "2.0"]


def test_the_chart_has_a_mark_for_each_ratio_with_an_interval(tmp_path):
    """Each cell with two rounds has a mark for goodput and each end, worse ones another shape; a cell with one round has none."""
    series = tmp_path / "series"
    several = [kept_round("neper", (goodput, 4e9)) for goodput in (2e9, 2.1e9)]
    series.write_text("".join([*several, kept_round("neper", chunk=1 << 20)]))
    done = side_by_side("--keep", str(series), "--rounds", "0", "--charts", str(tmp_path))
    assert done.returncode == 0, done.stderr
    drawn = (tmp_path / "peers.svg").read_text()
    assert "128KiB, 1 sender<" in drawn
    assert "1MiB" not in drawn
    assert "prefers-color-scheme: dark" in drawn
    assert (drawn.count("<path"), drawn.count("<circle")) == (1 + 1, 2 + 2)  # goodput is worse, both ends are better; and the legend's


def test_a_line_that_is_no_round_is_named(tmp_path):
    """A kept file of another kind is refused with the line, and nothing is shown."""
    series = tmp_path / "series"
    series.write_text(kept_round("neper") + '[[131072, 1, "recv", "neper"], [4e9, 0.1, 0.2]]\n')
    refused = side_by_side("--keep", str(series), "--rounds", "0")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(f"{series}:2: not a round of this benchmark (")
    assert refused.stderr.endswith("; name another file: --keep FILE\n")


def test_without_iperf3_the_remedy_is_named():
    """Where there is no iperf3 the message says how to get one, and no traceback comes."""
    done = side_by_side("--iperf3", "no-such-iperf3")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "'no-such-iperf3' is not on PATH; install it (Debian, Ubuntu: apt install iperf3) or name it: --iperf3 PROGRAM\n"
    )


@pytest.mark.serial
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: apt-get install gcc")
@pytest.mark.skipif(not {0, 1} <= os.sched_getaffinity(0), reason="it pins to CPU 0 and CPU 1, and may not use both: taskset -c 0,1")
def test_each_way_to_receive_several_connections_is_measured(tmp_path):
    """Threads, processes and epoll in C and zcload's receivers all move the bytes; only one that waits with epoll counts such waits."""
    few = ["--rounds", "1", "--seconds", "0.05", "--seconds-iperf3", "0", "--file-size", "4MiB", "--keep", str(tmp_path / "kept")]
    script = SCRIPT.with_name("receivers.py")
    done = subprocess.run([sys.executable, str(script), *few], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    kept = [json.loads(line) for line in (tmp_path / "kept").read_text().splitlines()]
    assert sorted(case for case, _ in kept) == ["one chunk discard", "one chunk recv", "read_send recv"]
    for _, ways in kept:
        assert all(way["receiver"] > 0 and way["sender"] > 0 and way["receives"] > 0 for way in ways.values())
        assert {way: cost["waits"] > 0 for way, cost in ways.items()} == {
            "threads": False,
            "processes": False,
            "epoll": True,
            "zcload, one": True,
            "zcload, each": False,
        }
