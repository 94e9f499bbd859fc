"""Headers before small files: bytes, digests, calls and packets of each way to send them."""

from __future__ import annotations

import pytest
from support.contenders import available
from support.windows import moving_window

from zcload.errors import StudyError
from zcload.host.machine import Machine
from zcload.lane.board import TRANSFERS
from zcload.lane.loads import small_files
from zcload.mechanisms import MECHANISMS
from zcload.model.packed import unpack
from zcload.model.study import Sizes

pytestmark = pytest.mark.serial
SIZES, HEADER = (5000, 20_000), 300
SMALL = {"transfer": "per-file", "transfer_size": Sizes(SIZES), "header_bytes": HEADER, "chunk": 65_536}
WAYS = [(name, way) for name, cls in MECHANISMS.items() if cls.moves_payload for way in cls.headers]
CASES = [(*case, "persistent") for case in WAYS] + [(*case, "fresh") for case in WAYS if case[0] in ("sendfile", "read_send")]


@pytest.mark.parametrize(("name", "way", "connection"), CASES)
def test_header_and_file_arrive_whole(name, way, connection, lane_of):
    """Every mechanism sends its headers in each of its ways: verified, and as many bytes as headers and files have."""
    available(MECHANISMS[name])
    lane = lane_of(name, senders=2, header=way, connection=connection, **SMALL)
    record = moving_window(lane, 0.02, Machine())
    told = record["transfers"]
    count = sum(after - before for before, after in told["sent"])
    assert count == sum(after - before for before, after in told["received"]) == len(unpack(told["latency_ns"])) > 0
    sent, received = (sum(after[1] - before[1] for before, after in record[role]) for role in ("senders", "receivers"))
    assert sent == received
    assert count * (HEADER + min(SIZES)) <= sent <= count * (HEADER + max(SIZES))


CALLS = {
    ("sendfile", "more"): {"sendfile": 1, "send_header": 1},
    ("sendfile", "cork"): {"sendfile": 1, "send_header": 1, "cork": 2},
    ("sendfile", "plain"): {"sendfile": 1, "send_header": 1},
    ("read_send", "writev"): {"preadv": 1, "send": 1},
}


@pytest.mark.parametrize(("name", "way"), CALLS)
def test_calls_and_packets_are_those_of_the_way(name, way, lane_of):
    """Each way makes its calls once a file, and only "plain" sends packets for the header alone."""
    available(MECHANISMS[name])
    lane = lane_of(name, header=way, **SMALL)
    record = moving_window(lane, 0.02, Machine())
    count = sum(after - before for before, after in record["transfers"]["sent"])
    before, after = record["senders"][0]
    made = {kind: b - a for kind, a, b in zip(lane.sender_calls, before[3:], after[3:], strict=True)}
    expected = {"open": 1, "close": 1, "recv": 1, **CALLS[name, way]}
    assert {kind: calls for kind, calls in made.items() if calls} == {kind: calls * count for kind, calls in expected.items()}
    (report,) = lane.report()
    assert report["transfers"] == lane.board.words[lane.board.base(0) + TRANSFERS]
    info = report["tcp_info"]
    packets = info["data_segs_out"] - info["total_retrans"] - 1  # the greeting
    if way == "plain":  # two, but the kernel may hold a header back while the last packet is on its way (tcp_autocorking, ip-sysctl.rst)
        assert report["transfers"] < packets <= 2 * report["transfers"]
    else:
        assert packets == report["transfers"]
    assert info["segs_out"] >= packets


def test_a_damaged_header_is_found(lane_of, monkeypatch):
    """Verification compares headers too: one that is not what was to be sent is an error."""
    monkeypatch.setattr(small_files, "header_of", bytes)  # as many zeros
    with pytest.raises(StudyError, match="the header of file 0 of sender 0 did not arrive as it was sent"):
        lane_of("sendfile", **SMALL)


def test_what_moves_nothing_sends_no_header(lane_of):
    """The lane that shows the cost of the loop has no header."""
    lane = lane_of("null", **SMALL, verify=False)
    record = moving_window(lane, 0.02, Machine())
    assert record["receivers"][0][1][1] == 0
