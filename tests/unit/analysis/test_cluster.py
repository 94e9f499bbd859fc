"""Ledgers of hosts and links: they add up to what the processes of a lane moved and used, and say what the kernel said of each host."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zcload.analysis.cluster import HostTallies, edge_cautions, edges
from zcload.cluster.answers import Counted, HostCounters, Overhead, Parked, Settled
from zcload.cluster.bench import _Window
from zcload.cluster.lane import Layout
from zcload.model.cluster import links_of
from zcload.model.study import Point
from zcload.report.tables import hosts as tables

HOSTS = ("a", "b", "c", "d")
ROLES = {"pairs": (HOSTS[:2], HOSTS[2:]), "fan-in": (HOSTS[:3], HOSTS[3:]), "fan-out": (HOSTS[:1], HOSTS[1:]), "mesh": (HOSTS, HOSTS)}
OPEN_NS = 50_000_000
MACHINE = [0, 1000, 0, 0, 2]  # as MachineReading.as_list()


def counted(layout, host, draw):
    """Return the counters of a host's part before and after a window: each process has used *draw*() ns and moved *draw*() bytes."""

    def pair(role):
        before = [[draw(), draw(), 0] for worker in getattr(layout, role) if worker.host == host]
        return before, [[cpu + draw(), moved + draw(), 1] for cpu, moved, _ in before]

    (senders, senders_after), (receivers, receivers_after) = pair("senders"), pair("receivers")

    def at(senders, receivers, now):
        return Counted(senders, receivers, opened_ns=10, closed_ns=10 + OPEN_NS, last_byte_ns=now, rest_ns=now, measured=[], areas=[])

    return at(senders, receivers, 10), at(senders_after, receivers_after, 10 + OPEN_NS + draw())


def window_of(layout, draw):
    """Return a window as a run records it, from what each of its hosts says."""
    parts = {host: counted(layout, host, draw) for host in layout.hosts}
    counters = HostCounters(MACHINE, 0, 0, 0, 0)
    before, after = ({host: Settled({1: parts[host][at]}, counters) for host in layout.hosts} for at in (0, 1))
    parked = {host: Parked({}, Overhead(draw(), draw(), draw(), draw())) for host in layout.hosts}
    window = _Window(SimpleNamespace(), SimpleNamespace(number=1, layout=layout), before, after, parked)
    record = {"senders": window.processes("senders"), "receivers": window.processes("receivers"), "hosts": window.hosts()}
    return {**record, "edge_skew_ns": draw()}


@given(st.sampled_from(list(ROLES)), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.randoms(use_true_random=False))
def test_ledgers_add_up(pattern, each, takers, windows, random):
    """In every pattern the hosts' and the links' bytes and CPU time are those of all processes in all windows."""
    links = links_of(pattern, *ROLES[pattern])
    layout = Layout.of(Point(senders=each * len(links), receivers=min(takers, each) * len(links)), links)
    tallies, totals = HostTallies(), dict.fromkeys(("sent", "received", "used"), 0)
    for _ in range(windows):
        window = window_of(layout, lambda: random.randint(1, 10**9))
        tallies.add(window, layout.as_record())
        for role, moved in (("senders", "sent"), ("receivers", "received")):
            totals[moved] += sum(b[1] - a[1] for a, b in window[role])
            totals["used"] += sum(b[0] - a[0] for a, b in window[role])
    hosts, between = tallies.host_records(), tallies.link_records()
    assert [host["host"] for host in hosts] == list(layout.hosts)
    assert sum(host["sent_gb"] for host in hosts) == pytest.approx(totals["sent"] / 1e9)
    assert sum(host["received_gb"] for host in hosts) == pytest.approx(totals["received"] / 1e9)
    assert sum(link["gb"] for link in between) == pytest.approx(totals["received"] / 1e9)
    used = sum((host[f"{role}_cpu_s_per_gb"] or 0) * host[f"{moved}_gb"] for host in hosts for role, moved in MOVES)
    assert used == pytest.approx(totals["used"] / 1e9)
    speeds = [link["goodput_bps"] or 0.0 for link in between]
    assert speeds == sorted(speeds)


MOVES = (("sender", "sent"), ("receiver", "received"))


def report(copied=None, retransmits=0, trip_us=100, limited_us=0):
    """Return what a sender reports at the end of a generation."""
    info = {"total_retrans": retransmits, "rtt_us": trip_us, "busy_time_us": 1000, "rwnd_limited_us": limited_us, "sndbuf_limited_us": 0}
    return {"tcp_info": info, "completions": {} if copied is None else {"completions": 10, "copied": copied}}


@pytest.fixture
def told():
    """Return the ledgers of two links whose ends change places between two generations; a's sends are copied, b's are not."""
    tallies = HostTallies()
    for pair, senders in ((("a", "b"), [report(10, 3, 100, 500), report(10, 4, 300)]), (("b", "a"), [report(0), report(0)])):
        links = links_of("pairs", pair[:1], pair[1:])
        layout = Layout.of(Point(senders=2, receivers=2), links)
        tallies.add(window_of(layout, lambda: 1000), layout.as_record())
        tallies.add_reports(senders, layout.as_record())
    return {host["host"]: host for host in tallies.host_records()}


def test_what_the_kernel_says_is_of_the_host_that_sent(told):
    """Where ends change places, copies, retransmits, round trip and limits stay with the host whose senders reported them."""
    a, b = told["a"], told["b"]
    assert (a["copied_fraction"], b["copied_fraction"]) == (1.0, 0.0)
    assert (a["retransmits"], b["retransmits"]) == (7, 0)
    assert a["round_trip_s"] == pytest.approx(200e-6)
    assert (a["rwnd_limited"], a["sndbuf_limited"], b["rwnd_limited"]) == (0.25, 0.0, 0.0)


def test_tables_show_hosts_and_what_their_kernels_say(told):
    """The table of hosts has a row for each, and that of sends what the kernel copied, sent again and waited for."""
    variant = {"name": "send_zerocopy", "hosts": list(told.values())}
    ledgers, sending = tables.ledgers({"variants": [variant]}), tables.sending({"variants": [variant]})
    assert [row[:2] for row in ledgers.rows] == [["send_zerocopy", "a"], ["send_zerocopy", "b"]]
    assert sending.rows == [
        ["send_zerocopy", "a", "100.0 %", "7", "0.2", "25.0 %", "0.0 %"],
        ["send_zerocopy", "b", "0.0 %", "0", "0.1", "0.0 %", "0.0 %"],
    ]
    assert tables.ledgers({"variants": [{"name": "copy"}]}) is tables.sending({"variants": [{"name": "copy"}]}) is None


def test_a_host_that_only_receives_has_nothing_to_say_of_sends():
    """Of a host without senders the figures of sends are null, and it has no row in their table."""
    layout = Layout.of(Point(senders=1, receivers=1), links_of("pairs", ("a",), ("b",)))
    tallies = HostTallies()
    tallies.add(window_of(layout, lambda: 1000), layout.as_record())
    tallies.add_reports([report()], layout.as_record())
    records = tallies.host_records()
    assert {records[1][key] for key in ("copied_fraction", "retransmits", "round_trip_s", "rwnd_limited", "sndbuf_limited")} == {None}
    assert [row[1] for row in tables.sending({"variants": [{"name": "copy", "hosts": records}]}).rows] == ["a"]


def test_edges_are_of_the_loudest_host():
    """The share of a core in windows is that of the host where it was most, and from one percent on there is a caution that says whose."""
    layout = Layout.of(Point(senders=1, receivers=1), links_of("pairs", ("a",), ("b",)))
    loud, still = HostTallies(), HostTallies()
    window = window_of(layout, lambda: 0)
    window["hosts"]["b"]["agent_ns"] = OPEN_NS // 10
    loud.add(window, layout.as_record())
    still.add(window_of(layout, lambda: 0), layout.as_record())
    found = edges([loud])
    assert found["agent_cores_most"] == pytest.approx(0.1)
    assert [caution.code for caution in edge_cautions("", found)] == ["not_quiet"]
    assert edge_cautions("", edges([still])) == edge_cautions("", edges([])) == []


def test_a_window_of_one_machine_adds_nothing():
    """A window without ledgers of hosts leaves no host, no link and no edges."""
    tallies = HostTallies()
    tallies.add({"senders": [], "receivers": []}, [])
    assert (tallies.host_records(), tallies.link_records(), edges([tallies])) == ([], [], None)
