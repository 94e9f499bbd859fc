"""Mechanisms whose memory stays locked are tried for all senders of a lane together; what does not fit names the limit."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys

import pytest

from zcload.errors import StudyError
from zcload.mechanisms import MECHANISMS, Mechanism, making
from zcload.mechanisms.making import make_mechanism, probe_senders


class Locks(Mechanism):
    """Takes memory that stays locked, of which there is enough for two."""

    name = "locks"
    locks_memory = True
    made: list[Locks] = []

    def __init__(self, sock, fd, size, chunk):
        if len(self.made) == 2:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        super().__init__(sock, fd, size, chunk)
        self.made.append(self)

    def close(self):
        self.made.remove(self)


@pytest.mark.parametrize("limited", [True, False])
def test_the_senders_of_a_lane_are_tried_together(limited, monkeypatch, leaks):
    """Two senders fit and three do not: that is told before the run, with the limit and the remedy, where a limit holds."""
    monkeypatch.setattr(making, "_may_lock_all", lambda: not limited)
    assert probe_senders(Locks, 2, 1 << 20, 4096, {}) is None
    short = probe_senders(Locks, 3, 1 << 20, 4096, {})
    assert (short is not None) == limited
    if short:
        assert short.reason.startswith("2 of 3 senders can be set up: cannot allocate memory (locked memory is ")
        assert short.remedy == "ulimit -l unlimited"
    assert Locks.made == []
    assert leaks() == {}


def test_a_sender_that_gets_no_locked_memory_says_so():
    """What other processes of the user have locked is known only when a sender is set up: its error names the limit and the remedy."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        made = [make_mechanism(Locks, ours, 0, 1, 1, {}) for _ in range(2)]
        with pytest.raises(
            StudyError, match=r"^locks cannot be set up: cannot allocate memory \(locked memory is .*`ulimit -l unlimited`\)$"
        ):
            make_mechanism(Locks, ours, 0, 1, 1, {})
        for each in made:
            each.close()


# Without CAP_IPC_LOCK, with a limit of so many bytes, in a process of its own: set up as many senders as the last argument says.
LIMITED = """
import resource, sys
from zcload.mechanisms import MECHANISMS
from zcload.mechanisms.making import probe_senders
resource.setrlimit(resource.RLIMIT_MEMLOCK, (int(sys.argv[2]),) * 2)
cls = MECHANISMS[sys.argv[1]]
print(probe_senders(cls, int(sys.argv[3]), 16 << 20, 16384, {}))
"""


def test_registered_buffers_of_many_senders_do_not_fit_into_a_small_limit():
    """With 64 KiB of locked memory eight rings of registered buffers cannot be had: their buffers alone are twice that at least."""
    if (why := MECHANISMS["uring_send_zc_fixed"].probe()) is not None:
        pytest.skip(f"uring_send_zc_fixed: {why.reason}; remedy: {why.remedy}")
    drop = ["setpriv", "--bounding-set=-ipc_lock,-sys_resource", "--inh-caps=-ipc_lock,-sys_resource"] if os.geteuid() == 0 else []
    command = [*drop, sys.executable, "-c", LIMITED, "uring_send_zc_fixed", str(64 << 10), "8"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "of 8 senders can be set up" in done.stdout
    assert "ulimit -l unlimited" in done.stdout
