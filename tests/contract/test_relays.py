"""The contract of a relay, held over every one that is registered, and what a study of relays says."""

from __future__ import annotations

import os
import threading

import pytest
from support.contenders import SMALLEST_BUFFER, receiving

from zcload.config import loads
from zcload.errors import ConfigError
from zcload.mechanisms import MECHANISMS, RELAYS, origin_names
from zcload.model.metrics import METRICS, RELAY_CPU_S_PER_GB
from zcload.report.formats import brief
from zcload.report.tables.overview import method, tables
from zcload.report.text.answer import answer
from zcload.runner.run import run

pytestmark = pytest.mark.usefixtures("leaks")

BOTH = list(RELAYS)
WITH_OPTIONS = [(name, {}) for name in BOTH] + [
    (name, {option: kind[16] if isinstance(kind, range) else True}) for name in BOTH for option, kind in RELAYS[name].options.items()
]


def study(**more):
    """Return the config of a short study of all relays; *more* are lines of its workload."""
    lines = "".join(f"{key} = {value!r}\n" for key, value in more.items())
    return (
        f"[study]\nname = 'relays'\nbaseline = '{BOTH[0]}'\nvariants = {BOTH}\nbest_chunk = false\n"
        f"[workload]\nfile_size = '2MiB'\nchunk = '32KiB'\n{lines}"
        "[stop]\nmax_time = '3s'\ntarget = '90%'\nmin_generations = 2\nreplicates = 1\n"
    )


@pytest.mark.parametrize(("name", "options"), WITH_OPTIONS)
@pytest.mark.parametrize("buffers", [1, 65_536])
@pytest.mark.parametrize(("chunk", "size"), [(4095, 65_537), (65_536, 1_000_003), (400_000, 1)])
def test_passes_every_byte_on_unchanged(name, options, buffers, chunk, size, pair):
    """What comes in goes out, in order, once, whatever the chunk, the size and the buffers; the end of the stream is 0."""
    data = os.urandom(size)
    origin, source = pair(send_buffer=65_536)
    sock, receiver = pair(send_buffer=buffers, receive_buffer=buffers if buffers > 1 else 4096)
    assert buffers > 1 or sock.getsockopt(1, 7) == SMALLEST_BUFFER
    sender = threading.Thread(target=lambda: (origin.sendall(data), origin.shutdown(1)), daemon=True)
    sender.start()
    relay, moved = RELAYS[name](source, sock, chunk, **options), []
    with receiving("recv", sock, receiver) as thread:
        while got := relay.move():
            moved.append(got)
        relay.close()
        relay.close()
    sender.join(20)
    assert sum(moved) == size
    assert max(moved) <= chunk
    assert all(relay.counts)
    assert thread.holds(data)


@pytest.mark.parametrize("name", BOTH)
def test_holds_nothing_back(name, pair):
    """Bytes that a relay has taken are with the receiver before it waits for more, however few they are."""
    origin, source = pair()
    sock, receiver = pair()
    receiver.settimeout(60)
    relay = RELAYS[name](source, sock, 65_536)
    try:
        for data in (b"x", b"yz" * 2000):
            origin.sendall(data)
            assert relay.move() == len(data)
            assert receiver.recv(65_536) == data
    finally:
        relay.close()


def test_relays_declare_themselves():
    """Each relay has a name of its own, documented copies, calls, and no mechanism that would show what its loop costs."""
    assert RELAYS.keys().isdisjoint(MECHANISMS)
    for name, relay in RELAYS.items():
        assert (relay.name, relay.overhead) == (name, None)
        assert relay.copies is not None
        assert relay.calls
        assert relay.probe() is None


def test_origins_are_mechanisms_whose_sends_need_no_second_end():
    """Senders of a relay may be what sends plainly; not what moves nothing, is told of completions, or prepares the receiver."""
    assert {"sendfile", "read_send", "splice", "mmap_send"} <= set(origin_names())
    assert not {"null", "msg_zerocopy", "uring_send_zc", "ktls_sendfile", *RELAYS} & set(origin_names())


@pytest.mark.serial
@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("origin", ["sendfile", "read_send"])
def test_the_digest_is_verified_from_sender_to_receiver(name, origin, lane_of, source_file):
    """What arrives behind the relays on each connection is the sender's part of the file, whatever sends it and in which chunks."""
    file = source_file(300_000)
    lane = lane_of(name, file=file, origin=origin, senders=3, receivers=2, chunk=10_000, own_chunk=70_000)
    assert lane.received() == file.size
    reading = lane.read()
    assert sum(row[0] for row in reading.senders) == sum(row[0] for row in reading.relays) == file.size
    assert lane.sender_calls == MECHANISMS[origin].calls
    assert lane.relay_calls == RELAYS[name].calls
    assert [worker.role for worker in lane.workers.relays] == ["relay"] * 3


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ({"transfer": "per-file"}, "'per-file' does not work with 'relay_read_send'"),
        ({"network": "veth"}, "'veth' does not work with 'relay_read_send'"),
        ({"cache": "cold", "dir": "/var/tmp/x"}, "'cold' does not work with 'relay_read_send'"),
        ({"origin": "msg_zerocopy"}, "'msg_zerocopy'"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(lines, what):
    """Small files, veth, a cold cache and an origin that cannot send to a relay are errors that name the value and the relay."""
    with pytest.raises(ConfigError) as caught:
        loads(study(**lines))
    assert what in str(caught.value)


def test_relays_are_compared_with_relays():
    """A mechanism that sends the file and a server are refused beside a relay, and an origin is refused where there is none."""
    mixed = study().replace(f"variants = {BOTH}", f"variants = {[*BOTH, 'sendfile']}")
    with pytest.raises(ConfigError, match="'sendfile' sends the file itself: it cannot be compared with 'relay_read_send'"):
        loads(mixed)
    server = "[[variant]]\nname = 's'\nkind = 'server'\ncommand = ['x']\n"
    with pytest.raises(ConfigError, match="a server sends the file itself"):
        loads(study() + server)
    with pytest.raises(ConfigError, match=r"workload\.origin: only works with relays"):
        loads("[study]\nname = 'x'\nbaseline = 'read_send'\nvariants = ['read_send', 'sendfile']\n[workload]\norigin = 'splice'\n")


@pytest.mark.serial
def test_a_study_of_relays_is_about_the_relays_own_cpu(tmp_path):
    """Its headline is the relay's CPU at full speed and at a rate; its ledger stands beside both ends', and the report speaks of it."""
    outcome = run(loads(study(rate=["max", "400Mbit/s"])), tmp_path / "r")
    summary = outcome.result.summary
    assert summary["headline"] == RELAY_CPU_S_PER_GB
    full, paced = summary["points"]
    for point in (full, paced):
        assert point["relay"] == {"origin": "sendfile", "count": 1, **{key: point["relay"][key] for key in ("cpus", "own_cpus")}}
        for v in point["variants"]:
            assert (v["verified"], v["status"]) == (True, "ok")
            total = sum(v["metrics"][f"{role}_cpu_s_per_gb"]["estimate"] for role in ("sender", "relay", "receiver"))
            assert v["metrics"]["total_cpu_s_per_gb"]["estimate"] == pytest.approx(total, rel=0.3)
            assert v["metrics"]["relay_syscalls_per_gb"]["estimate"] > 1e9 / 32768
            assert set(v["bill"]["calls_per_gb"]["relay"]) == set(RELAYS[v["name"]].calls)
            assert v["bill"]["copies"]["relay"]["here"] == RELAYS[v["name"]].copies.local
    assert any("of the relay's CPU per GB" in line for line in answer(summary))
    rates = next(table for table in tables(summary, paced) if table.section == "rate")
    assert "relay cores" in rates.headers
    assert any("1 relay between senders and receivers, on" in line and "sendfile" in line for line in method(summary, full))
    costs = next(table for table in tables(summary, full) if table.section == "costs")
    assert costs.headers[2:6] == ["relay", "sender", "receiver", "all three"]
    assert "the relay's CPU" in brief.render([outcome.result])
    assert all(len(pair) == 2 for record in outcome.result.records if record["kind"] == "window" for pair in record.get("relays", []))


def test_other_studies_have_no_relay():
    """Where no relay runs its metrics are missing with the reason, which names it."""
    reasons = {metric.missing for key, metric in METRICS.items() if key.startswith("relay_")}
    assert reasons == {"no relay is between sender and receiver", "perf counted no relay here: see how it was measured"}
