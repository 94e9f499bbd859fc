"""Results of other tools: real outputs are read, the arithmetic is theirs, and what cannot be compared is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.command_line import zcload
from support.fake_results import example_summary
from support.paths import DATA

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
        (lambda tree: tree.update(error="unable to connect"), "of a test that failed: unable to connect"),
        (lambda tree: tree["start"]["test_start"].update(protocol="UDP"), "of a UDP test: only TCP in one direction can be told"),
        (lambda tree: tree["start"]["test_start"].update(bidir=1), "of a test in both directions: only TCP in one direction can be told"),
        (lambda tree: tree["end"]["sum_received"].update(bytes=0), "of a test in which nothing arrived"),
        (lambda tree: tree["end"].pop("sum_received"), "damaged or of a version that is not known: it has no table `sum_received`"),
        (lambda tree: tree["start"].update(version="iperf 2.1"), "of version 'iperf 2.1': iperf 3 is known"),
        (lambda tree: tree["end"]["sum_received"].update(bytes=float("nan")), "end.sum_received.bytes"),
    ],
)
def test_iperf3_that_cannot_be_compared(tmp_path, change, what):
    """A test that failed, was not TCP one way, moved nothing, or is damaged is refused in words."""
    what = what if " " in what else "bytes is nan: expected 0 to 1e+18"
    assert refused(changed(tmp_path, "iperf3.json", change)) == f"iperf3 JSON, but {what}"


def test_iperf3_of_a_server():
    """In a server's file `host` is the server: the receiver, whose CPU is there; the client's is not, and that is said."""
    row = read_imported(PEERS / "iperf3-server-plain.json")
    end = json.loads((PEERS / "iperf3-server-plain.json").read_text())["end"]
    received = end["sum_received"]
    cost = end["cpu_utilization_percent"]["host_total"] / 100 * received["seconds"] / (received["bytes"] / 1e9)
    assert (row["sender_cpu_s_per_gb"], row["receiver_cpu_s_per_gb"]) == (None, pytest.approx(cost))
    assert row["total_cpu_s_per_gb"] is None
    assert row["notes"][-1] == "a server's file: it does not hold the client's CPU"


def test_iperf3_of_a_server_that_sent():
    """A server that sent does not know what arrived: its file is refused, and the one that has it is named."""
    what = "iperf3 JSON, but of a server that sent (-R): what arrived is only in the client's output"
    assert refused(PEERS / "iperf3-server-reverse.json") == what


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda tree: tree["start"].pop("connecting_to"), "no CPU: the file does not say which end wrote it"),
        (lambda tree: tree["start"].update(accepted_connection={}), "no CPU: the file does not say which end wrote it"),
        (lambda tree: tree["end"]["sum_received"].update(sender=False), "no CPU: the file contradicts itself on which end sent"),
    ],
)
def test_iperf3_whose_role_is_not_proven(tmp_path, change, note):
    """Where the file does not prove which end wrote it, CPU is left out with the reason, and the goodput stays."""
    row = read_imported(changed(tmp_path, "iperf3.json", change))
    assert row["goodput_bps"] > 1e9
    assert (row["sender_cpu_s_per_gb"], row["receiver_cpu_s_per_gb"]) == (None, None)
    assert row["notes"] == [note]


def test_iperf3_figures_that_cannot_be(tmp_path):
    """A percentage that the process's threads cannot use, and a rate that the bytes and seconds do not give, are left out and named."""

    def impossible(tree):
        tree["end"]["cpu_utilization_percent"]["host_total"] = 70907445
        tree["end"]["sum_received"]["bits_per_second"] *= 8

    row = read_imported(changed(tmp_path, "iperf3.json", impossible))
    assert (row["goodput_bps"], row["sender_cpu_s_per_gb"], row["total_cpu_s_per_gb"]) == (None, None, None)
    assert row["receiver_cpu_s_per_gb"] == pytest.approx(read_imported(PEERS / "iperf3.json")["receiver_cpu_s_per_gb"])
    assert "no CPU of host: 7.09074e+07 % is more than the threads of iperf 3.12 can use" in row["notes"]
    assert "no goodput: bits_per_second is not what its bytes and seconds give" in row["notes"]


def test_iperf3_limits_are_of_each_stream(tmp_path):
    """-b limits each stream, so with -P 2 the limit is not the test's."""

    def limit(tree):
        tree["start"]["test_start"].update(target_bitrate=1_000_000_000, num_streams=2)

    assert read_imported(changed(tmp_path, "iperf3.json", limit))["what"].endswith("at most 1 Gbit/s a stream")


def streamed(text):
    """Write a run as --json-stream does."""
    tree = json.loads(text)
    return "\n".join(json.dumps({"event": event, "data": data}) for event, data in tree.items()) + "\n"


DRESSES = {
    "plain": str.encode,
    "byte-order mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "a warning first": lambda text: f"warning: UDP block size\n{text}".encode(),
    "a warning last": lambda text: f"{text}\niperf3: interrupt - the client has terminated\n".encode(),
    "twice the same": lambda text: f"{text}\n{text}".encode(),
    "--json-stream": lambda text: streamed(text).encode(),
}


@pytest.mark.parametrize("dress", DRESSES)
def test_iperf3_in_every_dress(tmp_path, dress):
    """Encodings of other systems, warnings around the JSON, the same run twice and --json-stream are all read."""
    path = tmp_path / "iperf3.json"
    path.write_bytes(DRESSES[dress]((PEERS / "iperf3.json").read_text()))
    assert read_imported(path) == read_imported(PEERS / "iperf3.json")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda text: text[: len(text) // 2], "it is damaged or cut off"),
        (lambda text: text + text.replace("6107955200", "6107955201"), "of 2 runs: give each a file of its own"),
        (lambda text: streamed(text).rpartition('{"event": "end"')[0], "of a run that has not ended: there is no event `end`"),
        (lambda text: 2 * streamed(text), "of several runs: give each a file of its own"),
        (lambda text: text.replace("6107955200", "9" * 5000), "it is damaged or cut off"),
        (
            lambda text: text.replace('"bytes":	6107955200', '"bytes": ' + "9" * 500),
            "bytes is a number of 1661 bits: expected 0 to 1e+18",
        ),
        (lambda text: text.replace('"intervals":', '"deep":' + "[" * 100_000 + ',"intervals":'), "it is damaged or cut off"),
    ],
)
def test_iperf3_that_is_damaged(tmp_path, change, what):
    """It is known as iperf3's whatever is wrong with it, and what is wrong is said."""
    path = tmp_path / "iperf3.json"
    path.write_text(change((PEERS / "iperf3.json").read_text()))
    assert refused(path).removeprefix("iperf3 JSON, but ").removeprefix("sum_received.") == what


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
    assert row["total_cpu_s_per_gb"] is None  # a name or an address of this host would count its machine twice
    assert row["notes"][-1].startswith("no sum: the file does not prove that the two ends are two machines")


def test_netperf_between_two_machines(tmp_path):
    """Where the two ends have different numbers of CPUs they are two machines, and their sum is theirs."""
    path = tmp_path / "n.txt"
    text = (PEERS / "netperf-omni.txt").read_text().replace("127.0.0.1", "192.0.2.7")
    path.write_text(text.replace("REMOTE_CPU_COUNT=2", "REMOTE_CPU_COUNT=4"))
    assert read_imported(path)["total_cpu_s_per_gb"] == pytest.approx(2 * 0.752 * 1e9 / 1024 / 1e6)
    path.write_text(text)
    assert read_imported(path)["total_cpu_s_per_gb"] is None


@pytest.mark.parametrize(
    ("unit", "bps"),
    [
        ("KBytes  /s", 8 * 1024),
        ("MBytes  /s", 8 << 20),
        ("GBytes  /s", 8 << 30),
        ("Bytes  /s", 8),
        ("10^3bits/s", 1e3),
        ("10^9bits/s", 1e9),
    ],
)
def test_netperf_units(tmp_path, unit, bps):
    """-f changes the unit; netperf pads it to the width of its column."""
    path = tmp_path / "n.txt"
    text = (PEERS / "netperf-classic.txt").read_text().replace("18106.13", "286.45").replace("10^6bits/s", unit)
    path.write_text(text.replace("0.896   0.896", "0.000   0.000"))
    assert read_imported(path)["goodput_bps"] == pytest.approx(286.45 * bps)


@pytest.mark.parametrize(("old", "new"), [("98.99    98.99 ", "198.99   198.99"), ("0.896   0.896", "9000000 9000000")])
def test_netperf_cpu_that_cannot_be(tmp_path, old, new):
    """A utilization above 100 % and a demand beyond all CPUs of a machine are left out, with the reason."""
    path = tmp_path / "n.txt"
    path.write_text((PEERS / "netperf-classic.txt").read_text().replace(old, new))
    row = read_imported(path)
    assert (row["goodput_bps"], row["system_cpu_s_per_gb"]) == (pytest.approx(18106.13e6), None)
    assert any(note.startswith("no CPU of the local end: ") for note in row["notes"])


def test_netperf_warns(tmp_path):
    """netperf's own warning that its confidence was not reached stands beside the figures."""
    path = tmp_path / "n.txt"
    warning = "!!! WARNING\n!!! Desired confidence was not achieved within the specified iterations.\n!!!   Throughput      : 10.2%\n"
    path.write_text((PEERS / "netperf-classic.txt").read_text().replace("Recv   Send", warning + "Recv   Send", 1))
    assert read_imported(path)["notes"][-1].startswith("netperf warns: Desired confidence was not achieved")


@pytest.mark.parametrize(
    ("name", "change", "what"),
    [
        ("classic", lambda text: text.splitlines()[-1] + "\n", "figures without a header, as netperf -P 0 prints them"),
        (
            "classic",
            lambda text: "\n".join(text.splitlines()[:1] + text.splitlines()[-1:]),
            "the unit of its throughput is not in the file",
        ),
        ("classic", lambda text: text + text, "netperf output, but of several runs: give each a file of its own"),
        ("omni", lambda text: text + text.partition("\n")[2], "netperf output, but of several runs: give each a file of its own"),
        ("omni", lambda text: text.splitlines()[0] + "\nThroughput,Throughput Units\n21667,10^6bits/s\n", "as CSV (-o): run it with -k"),
        ("omni", lambda text: "Throughput,Throughput Units\n21667,10^6bits/s\n", "netperf output, but as CSV (-o): run it with -k"),
        ("omni", lambda text: text.replace("THROUGHPUT=21667.10", "THROUGHPUT=nan"), "THROUGHPUT is nan: expected 0 to 1e+18"),
        ("omni", lambda text: text.replace("=10^6bits/s", "=Trans/s"), "it counts in 'Trans/s'"),
    ],
)
def test_netperf_that_is_not_told(tmp_path, name, change, what):
    """Figures without units, several runs in one file, CSV and numbers that are none are refused for what they are."""
    path = tmp_path / "n.txt"
    path.write_text(change((PEERS / f"netperf-{name}.txt").read_text()))
    assert what in refused(path)


@pytest.mark.parametrize("kind", ["pipe", "device", "directory", "200 MB"])
def test_files_that_are_none(tmp_path, kind):
    """A named pipe, a device, a directory and a file of 200 MB are refused at once, without being read to their end."""
    path = tmp_path / "n"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "200 MB":
        with path.open("wb") as file:
            file.truncate(200_000_000)
    elif kind == "directory":
        path.mkdir()
    else:
        path = Path("/dev/zero")
    expected = {
        "pipe": "a pipe, not a file",
        "device": "a device, not a file",
        "directory": "is a directory",
        "200 MB": "larger than 64 MiB",
    }
    assert refused(path).startswith(f"cannot be read: {expected[kind]}")


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("TCP SENDFILE TEST", "TCP REQUEST/RESPONSE TEST",
         f"netperf output, but of a TCP REQUEST/RESPONSE test: only bulk tests can be told ({BULK})"),
        ("TCP SENDFILE TEST", "UDP STREAM TEST", f"netperf output, but of a UDP STREAM test: only bulk tests can be told ({BULK})"),
        ("131072  16384 131072", "some 16384 words", "netperf output, but it has 0 rows of figures where one of 5 or 9 is expected: "
         "run it with -c -C, one test a file"),
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
    assert refused(tmp_path / "nothing") == "cannot be read: no such file or directory"


@pytest.mark.parametrize("name", table.FORMATS)
def test_reports_show_what_was_imported(name):
    """Every format that says so shows the row, marked as imported and unpaired."""
    summary = {
        **example_summary(),
        "imported": [read_imported(path) for path in sorted(PEERS.iterdir()) if path.stem != "iperf3-server-reverse"],
    }
    text = renderer(name)([Result(summary)])
    assert "iperf3-reverse-zerocopy" in text.replace("\\", "")
    assert "netperf TCP_SENDFILE" in text.replace("\\", "")
    assert name == "json" or "without a verdict" in text


def test_the_command(tmp_path):
    """`report --with` adds the table, and is refused where the format would not show it."""
    write_summary(tmp_path, example_summary())
    shown = zcload("report", tmp_path, "--with", PEERS / "iperf3.json", "--with", PEERS / "netperf-omni.txt", cwd=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "iperf3 (iperf 3.12)" in shown.stdout
    assert "netperf-omni (netperf OMNI_Send)" in shown.stdout
    bad = zcload("report", tmp_path, "--with", PEERS / "iperf3.json", "--format", "bencher", cwd=tmp_path)
    assert bad.returncode == 2
    assert bad.stderr == "zcload: error: --with: does not work with --format bencher (use table, markdown, json)\n"
