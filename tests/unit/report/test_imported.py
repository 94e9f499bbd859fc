"""Results of other tools: real outputs are read, the arithmetic is theirs, and what cannot be compared is refused."""

from __future__ import annotations

import json

import pytest
from support.command_line import zcload
from support.fake_results import example
from support.paths import DATA

from zcload.analysis.summary import summarise
from zcload.errors import ConfigError
from zcload.report import renderer
from zcload.report.imported import READERS, read_imported, table
from zcload.store.reader import Result
from zcload.store.writer import write_summary

BULK = "TCP STREAM, TCP SENDFILE, TCP MAERTS, OMNI Send, OMNI Receive"
PEERS = DATA / "peers"


def changed(tmp_path, name, change):
    """Return a copy of a stored JSON output with a change."""
    tree = json.loads((PEERS / name).read_text())
    change(tree)
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(tree))
    return path


def refused(path):
    """Return what a file is refused with."""
    with pytest.raises(ConfigError) as caught:
        read_imported(path)
    (problem,) = caught.value.problems
    assert (problem.file, problem.key) == (str(path), "--with")
    return problem.what


# Expected values by hand from the files: percent / 100 x seconds / (bytes / 10^9); us/KB x 10^9 / 1024 / 10^6.


def test_iperf3():
    """The client's percentage is the sender's, the server's the receiver's, per GB that the receiver took."""
    row = read_imported(PEERS / "iperf3.json")
    tree = json.loads((PEERS / "iperf3.json").read_text())["end"]
    gb = tree["sum_received"]["bytes"] / 1e9
    assert (row["name"], row["tool"]) == ("iperf3", "iperf 3.12")
    assert row["goodput_bps"] == tree["sum_received"]["bits_per_second"]
    assert row["sender_cpu_s_per_gb"] == pytest.approx(tree["cpu_utilization_percent"]["host_total"] / 100 * 2.000242 / gb)
    assert row["receiver_cpu_s_per_gb"] == pytest.approx(tree["cpu_utilization_percent"]["remote_total"] / 100 * 2.000242 / gb)
    assert row["total_cpu_s_per_gb"] == pytest.approx(row["sender_cpu_s_per_gb"] + row["receiver_cpu_s_per_gb"])
    assert row["system_cpu_s_per_gb"] is None
    assert row["what"] == "1 stream, blocks of 131072 B, bbr"


def test_iperf3_in_reverse():
    """With -R the server sends: its percentage is the sender's."""
    row = read_imported(PEERS / "iperf3-reverse-zerocopy.json")
    cpu = json.loads((PEERS / "iperf3-reverse-zerocopy.json").read_text())["end"]["cpu_utilization_percent"]
    assert row["sender_cpu_s_per_gb"] / row["receiver_cpu_s_per_gb"] == pytest.approx(cpu["remote_total"] / cpu["host_total"])
    assert row["what"] == "2 streams, blocks of 131072 B, bbr, reverse"


def test_iperf3_with_omitted_seconds(tmp_path):
    """The CPU time of omitted seconds is in the percentage, so the percentage is of all seconds, and that is said."""

    def omit(tree):
        tree["start"]["test_start"]["omit"] = 2

    plain, more = read_imported(PEERS / "iperf3.json"), read_imported(changed(tmp_path, "iperf3.json", omit))
    assert more["sender_cpu_s_per_gb"] == pytest.approx(plain["sender_cpu_s_per_gb"] * 4.000242 / 2.000242)
    assert more["notes"][-1] == "the CPU of the omitted seconds is in it, their bytes are not"


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda tree: tree.update(error="unable to connect"), "is of a test that failed: unable to connect"),
        (lambda tree: tree["start"]["test_start"].update(protocol="UDP"), "is of a UDP test: only TCP one way can be told"),
        (lambda tree: tree["start"]["test_start"].update(bidir=1), "is of a test in both directions: only TCP one way can be told"),
        (lambda tree: tree["end"]["sum_received"].update(bytes=0), "is of a test in which nothing arrived"),
        (lambda tree: tree["end"].pop("sum_received"), "is damaged or of a version that is not known: KeyError('sum_received')"),
    ],
)
def test_iperf3_that_cannot_be_compared(tmp_path, change, what):
    """A test that failed, was not TCP one way, moved nothing, or is damaged is refused in words."""
    assert refused(changed(tmp_path, "iperf3.json", change)) == what


def test_netperf_classic():
    """Service demand in us/KB of 1024 bytes becomes s/GB; on one host it is the machine's."""
    row = read_imported(PEERS / "netperf-classic.txt")
    assert row["tool"] == "netperf TCP_SENDFILE"
    assert row["goodput_bps"] == pytest.approx(18106.13e6)
    assert row["system_cpu_s_per_gb"] == pytest.approx(0.896 * 1e9 / 1024 / 1e6)
    assert row["sender_cpu_s_per_gb"] is row["receiver_cpu_s_per_gb"] is row["total_cpu_s_per_gb"] is None


def test_netperf_omni():
    """The KEY=value output says the same in its own words."""
    row = read_imported(PEERS / "netperf-omni.txt")
    assert (row["goodput_bps"], row["what"]) == (pytest.approx(21667.10e6), "sends of 131072 B")
    assert row["system_cpu_s_per_gb"] == pytest.approx(0.752 * 1e9 / 1024 / 1e6)


@pytest.mark.parametrize(("kind", "sender"), [("TCP SENDFILE", 0.5), ("TCP STREAM", 0.5), ("TCP MAERTS", 1.5)])
def test_netperf_between_two_hosts(tmp_path, kind, sender):
    """Between two hosts the demands are the sender's and the receiver's machine, whichever end sends."""
    path = tmp_path / "n.txt"
    text = (PEERS / "netperf-classic.txt").read_text().replace("TCP SENDFILE", kind).replace("to 127.0.0.1", "to 192.0.2.7")
    path.write_text(text.replace("0.896   0.896", "0.512   1.536"))
    row = read_imported(path)
    assert (row["sender_cpu_s_per_gb"], row["receiver_cpu_s_per_gb"]) == (pytest.approx(sender), pytest.approx(2.0 - sender))
    assert row["total_cpu_s_per_gb"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("TCP SENDFILE TEST", "TCP REQUEST/RESPONSE TEST", None),
        ("TCP SENDFILE TEST", "UDP STREAM TEST", f"is of a UDP STREAM test: only bulk tests can be told ({BULK})"),
        ("131072  16384 131072", "some 16384 words", "has no row of figures that is known (run netperf with -c -C, without -P 0)"),
    ],
)  # fmt: skip
def test_netperf_that_cannot_be_compared(tmp_path, old, new, what):
    """Tests that move no bulk, and tables that are cut, are refused."""
    path = tmp_path / "n.txt"
    path.write_text((PEERS / "netperf-classic.txt").read_text().replace(old, new))
    assert refused(path) == (what or "is the output of no tool that is known (iperf3 -J, netperf)")


def test_netperf_without_cpu(tmp_path):
    """Without -c -C there is a goodput and no CPU."""
    path = tmp_path / "n.txt"
    text = (PEERS / "netperf-classic.txt").read_text()
    path.write_text(text.replace("18106.13   98.99    98.99    0.896   0.896", "18106.13"))
    row = read_imported(path)
    assert (row["goodput_bps"], row["system_cpu_s_per_gb"]) == (pytest.approx(18106.13e6), None)


@pytest.mark.parametrize("content", ["", "{}", "[1]", "hello", '{"start": 1}', "\x00\xff"])
def test_files_of_no_tool(tmp_path, content):
    """What no reader knows is refused with the names of those that are known; so is what is not there."""
    path = tmp_path / "x"
    path.write_text(content)
    assert refused(path) == f"is the output of no tool that is known ({', '.join(READERS)})"
    assert refused(tmp_path / "nothing") == "no such file or directory"


@pytest.mark.parametrize("name", table.FORMATS)
def test_reports_show_what_was_imported(name):
    """Every format that says so shows the row, marked as imported and unpaired."""
    summary = {**summarise(example()), "imported": [read_imported(path) for path in sorted(PEERS.iterdir())]}
    text = renderer(name)([Result(summary)])
    assert "iperf3-reverse-zerocopy" in text.replace("\\", "")
    assert "netperf TCP_SENDFILE" in text.replace("\\", "")
    assert name == "json" or "without a verdict" in text


def test_the_command(tmp_path):
    """`report --with` adds the table, and is refused where the format would not show it."""
    write_summary(tmp_path, summarise(example()))
    shown = zcload("report", tmp_path, "--with", PEERS / "iperf3.json", "--with", PEERS / "netperf-omni.txt", cwd=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "iperf3 (iperf 3.12)" in shown.stdout
    assert "netperf-omni (netperf OMNI_Send)" in shown.stdout
    bad = zcload("report", tmp_path, "--with", PEERS / "iperf3.json", "--format", "bencher", cwd=tmp_path)
    assert bad.returncode == 2
    assert bad.stderr == "zcload: error: --with: does not work with --format bencher (use table, markdown, json)\n"
