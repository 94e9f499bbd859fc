"""Small files from servers: each GET counted, its latency from when it was meant to begin, digests first, schedules as for mechanisms."""

from __future__ import annotations

import pytest
from support.server_lanes import WHOLE, server_lanes
from support.stalls import STALL_S, stalled_window
from support.windows import moving_window

from zcload import config
from zcload.analysis.latency import describe
from zcload.analysis.stats import Bootstrap
from zcload.errors import ConfigError, StudyError
from zcload.host.machine import Machine
from zcload.lane.rest import wait_for_rest
from zcload.lane.small_files.arrivals import LEAD_NS
from zcload.model.packed import pack, unpack
from zcload.model.study import Sizes
from zcload.sinks import SINKS

SIZE = 1 << 20
SMALL = {"transfer": "per-file", "transfer_size": Sizes((5000, 12288))}
CLOSED: dict[str, object] = {}
CONSTANT = {"arrivals": "constant", "transfers_per_s": 400.0}
POISSON = {"arrivals": "poisson", "transfers_per_s": 400.0}
FRESH = {"connection": "fresh"}

pytestmark = pytest.mark.serial


@pytest.fixture
def lane():
    """Return a function that sets up a lane of a small server that serves small files; it ends with the test."""
    with server_lanes(SIZE) as bring_up:
        yield lambda *args, **values: bring_up(*args, **{**SMALL, **values})


@pytest.fixture
def machine():
    """Return a reader of the machine's counters."""
    machine = Machine()
    yield machine
    machine.close()


def both(pairs):
    return sum(after - before for before, after in pairs)


@pytest.mark.parametrize("connection", [{}, FRESH], ids=["persistent", "fresh"])
@pytest.mark.parametrize("arrivals", [CLOSED, CONSTANT, POISSON], ids=["closed", "constant", "poisson"])
def test_every_file_is_verified_and_counted(arrivals, connection, lane, machine):
    """The digests of the first files are right, and in a window each file that was asked for came, whole, with a latency of its own."""
    made = lane(senders=3, receivers=2, verify=True, **arrivals, **connection)
    wait_for_rest(made)
    for _ in range(2):
        record = moving_window(made, 0.2, machine)
        told = record["transfers"]
        count = both(told["sent"])
        assert count == both(told["received"]) > 0
        latencies = unpack(told["latency_ns"])
        assert len(latencies) == count
        assert min(latencies) > 0
        moved = sum(after[1] - before[1] for before, after in record["receivers"])
        assert 5000 * count <= moved <= 12288 * count
        calls = [
            sum(b - a for a, b in pairs) for pairs in zip(*(zip(b[3:], a[3:], strict=True) for b, a in record["receivers"]), strict=True)
        ]
        made_calls = dict(zip(made.receiver_calls, calls, strict=True))
        assert made_calls["request_send"] == count
        assert made_calls["connect"] == (count if connection else 0)
        assert ("late_ns" in told) == ("clock_nanosleep" in made_calls) == (arrivals is not CLOSED)


@pytest.mark.parametrize("sink", [name for name, sink in SINKS.items() if not sink.takes_ahead])
def test_every_sink_takes_small_files(sink, lane, machine):
    """Through every sink that can, the small files come whole."""
    refusal = SINKS[sink].probe()
    if refusal is not None:
        pytest.skip(f"{sink}: {refusal.reason}: {refusal.remedy}")
    made = lane(senders=2, sink=sink, verify=True)
    told = moving_window(made, 0.1, machine)["transfers"]
    assert both(told["sent"]) == len(unpack(told["latency_ns"])) > 0


def test_a_server_that_closes_after_each_answer_serves_small_files(lane, machine):
    """http.server closes after every answer: each file has a connection of its own then, and all the rest holds."""
    made = lane(WHOLE, senders=2, verify=True)
    told = moving_window(made, 0.1, machine)["transfers"]
    assert both(told["sent"]) == both(told["received"]) > 0


def test_other_bytes_than_the_files_are_found(lane, source_file):
    """A server that hands out other bytes of the right length does not pass verification."""
    other = source_file(SIZE, seed=1)
    with pytest.raises(StudyError, match="is not what the file holds"):
        lane(senders=2, verify=True, against=other.fd)


@pytest.mark.parametrize("arrivals", [CONSTANT, POISSON], ids=["constant", "poisson"])
def test_a_window_serves_the_arrivals_that_are_due_in_it(arrivals, lane, machine):
    """A server's lane has the arrivals of the schedule, those of a mechanism's lane, and none is asked for before it is due."""
    made = lane(senders=2, seed=7, **arrivals)
    wanted = []
    for connection in range(2):
        plan = made.transfer_plan.schedule(connection)
        plan.begin(LEAD_NS)
        count = 0
        while plan.due() < 200_000_000:
            plan.advance()
            count += 1
        wanted.append(count)
    told = moving_window(made, 0.2, machine)["transfers"]
    assert [b - a for a, b in told["sent"]] == wanted
    late, latencies = unpack(told["late_ns"]), unpack(told["latency_ns"])
    assert min(late) >= 0
    assert all(done > begun for done, begun in zip(latencies, late, strict=True))


@pytest.mark.parametrize("senders", [1, 4])
@pytest.mark.parametrize("arrivals", [CONSTANT, POISSON], ids=["constant", "poisson"])
def test_a_stall_is_in_the_latency_of_every_arrival_that_it_delays(arrivals, senders, lane):
    """A server that stands still delays all that arrive meanwhile, and the percentiles of an open loop show all of it."""
    made = lane(senders=senders, **arrivals)
    stall = stalled_window(made, made.serving.running.pid)
    assert len(stall.due_meanwhile) > 60  # 120 are due in 300 ms
    assert all(each.done_ns >= stall.ended_ns for each in stall.due_meanwhile)
    figures = describe([[pack(stall.latencies)], [pack(stall.latencies)]], [], Bootstrap(2), open_loop=True)
    assert figures["kind"] == "response_time"
    assert figures["percentiles"]["p90"]["estimate"] > 0.09
    assert figures["percentiles"]["max"]["estimate"] > STALL_S / 2


def test_a_closed_loop_hides_the_same_stall(lane):
    """In a closed loop the same stall is in the latency of one transfer of each connection, and of one whose answer was on its way."""
    made = lane(senders=1)
    stall = stalled_window(made, made.serving.running.pid)
    assert 1 <= len(stall.under_way) <= 2
    figures = describe([[pack(stall.latencies)], [pack(stall.latencies)]], [], Bootstrap(2), open_loop=False)
    assert figures["percentiles"]["p90"]["estimate"] < STALL_S


TREE = {
    "study": {"name": "s", "baseline": "read_send", "variants": ["read_send"]},
    "workload": {"transfer": "per-file", "file": "/etc/hostname"},
}


@pytest.mark.parametrize(
    ("server", "said"),
    [
        (
            {"attach": 1, "port": 80},
            r"variant\[web\].attach: a running server cannot serve the small files that zcload makes .*command",
        ),
        ({"command": "x {port}", "path": "/file"}, r"variant\[web\].path: each small file has its own path .*\{name\}"),
    ],
    ids=["attach", "path"],
)
def test_servers_that_cannot_have_small_files_are_refused(server, said):
    """A running server's root is not zcload's to fill, and one path is that of one file: each an error with its remedy."""
    with pytest.raises(ConfigError, match=said):
        config.from_tree({**TREE, "variant": [{"name": "web", "kind": "server", **server}]})
