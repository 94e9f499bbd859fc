"""Lanes whose senders encrypt: bytes, rest and verification as in any lane, streams and small files, and what is refused."""

from __future__ import annotations

import ssl
from collections import Counter

import pytest
from support.command_line import zcload
from support.windows import moving_window

from zcload.errors import StudyError
from zcload.host.machine import Machine
from zcload.lane.rest import wait_for_rest
from zcload.linux import tls13
from zcload.model.packed import unpack
from zcload.model.study import Sizes

pytestmark = pytest.mark.serial
SMALL = {"transfer": "per-file", "transfer_size": Sizes((5000, 20_000))}


@pytest.mark.parametrize("sink", ["recv", "file"])
def test_streams_of_several_connections_come_to_rest(sink, lane_of):
    """Over three connections, received in pieces smaller than a record, as many bytes arrive as were sent, in every window."""
    lane = lane_of("tls_send", senders=3, receivers=2, sink=sink, receive_chunk=5000)
    machine = Machine()
    for _ in range(3):
        record = moving_window(lane, 0.02, machine)
        sent, received = (sum(after[1] - before[1] for before, after in record[role]) for role in ("senders", "receivers"))
        assert sent == received > 0
        assert all(len(after) == 3 for _, after in record["receivers"])  # calls of the library are not counted
    assert lane.receiver_calls == ()
    assert lane.sender_calls == ("preadv", "write")


def test_small_files_are_received_and_answered(lane_of):
    """Small files of several senders are verified, counted one by one and answered over the same TLS connections."""
    lane = lane_of("tls_send", senders=3, receivers=2, receive_chunk=3000, **SMALL)
    record = moving_window(lane, 0.05, Machine())
    told = record["transfers"]
    count = sum(after - before for before, after in told["sent"])
    assert count == sum(after - before for before, after in told["received"]) == len(unpack(told["latency_ns"])) > 0


def test_what_arrives_is_encrypted_with_the_certificate_of_the_process(lane_of, monkeypatch):
    """Every connection of a lane is TLS 1.3, and its two ends were made by one handshake each."""
    made = []
    connect = tls13.connect
    monkeypatch.setattr(tls13, "connect", lambda *ends: made.append(connect(*ends)) or made[-1])
    lane_of("tls_send", senders=2)
    assert Counter(type(end) for ends in made for end in ends) == {ssl.SSLSocket: 4}


def test_a_wrong_byte_is_found(lane_of, source_file):
    """Verification through TLS finds a file that is not the one expected."""
    file, other = source_file(1 << 20), source_file(1 << 20, seed=1)
    lane = lane_of("tls_send", file, start=False)
    with pytest.raises(StudyError, match="is not what the file holds"):
        lane.verify(other.digests(), 10.0)
    lane.tear_down()


def test_a_rate_is_kept(lane_of):
    """A paced lane that encrypts comes to rest after each window."""
    lane = lane_of("tls_send", senders=2, rate_bps=1e9)
    record = moving_window(lane, 0.05, Machine())
    assert sum(record["pacing"]["bytes"]) > 0
    wait_for_rest(lane)


def test_zcload_send_refuses_what_its_receiver_cannot_decrypt(tmp_path):
    """`zcload send` names the reason: its receiver is another program that takes plain bytes."""
    file = tmp_path / "file"
    file.write_bytes(b"x")
    run = zcload("send", str(file), "127.0.0.1:1", "--via", "tls_send", cwd=tmp_path)
    assert run.returncode == 2
    assert "needs a receiver that decrypts" in run.stderr
