"""Who is measured is checked: the processes that are read must be those that serve, from set-up to the last window."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from support.processes import wait_until
from support.server_lanes import RANGES, server_lanes

from zcload.errors import StudyError
from zcload.host.machine import Machine
from zcload.lane.rest import wait_for_rest
from zcload.model.study import Server
from zcload.runner.window import LaneFailed, measure
from zcload.server.running import free_port

SIZE = 4 << 20


@pytest.fixture
def outsider(tmp_path):
    """Return the port of a range server that no run has started, and its process; it serves f."""
    (tmp_path / "f").write_bytes((bytes(range(251)) * (SIZE // 251 + 1))[:SIZE])
    port = free_port("127.0.0.1")
    command = [sys.executable, RANGES[1], str(port), str(tmp_path)]
    process = subprocess.Popen(command)
    yield port, process
    process.kill()
    process.wait()


def test_attaching_to_a_process_beside_the_server_is_refused(outsider):
    """The pid of another process than the one that listens is refused, with the pid of the one that does."""
    port, process = outsider
    with server_lanes(SIZE) as bring_up, subprocess.Popen(["sleep", "60"]) as other:
        try:
            with pytest.raises(StudyError, match=rf"processes \({other.pid}\) do not listen at 127.0.0.1 port {port}; .*pid {process.pid}"):
                bring_up(server=Server(attach=other.pid, port=port))
            assert bring_up(server=Server(attach=process.pid, port=port)).identity == (None, None)
        finally:
            other.kill()


def test_a_command_whose_work_another_process_does_is_refused(outsider):
    """A command that only waits, while a server that ran before answers at its port, is refused."""
    port, _ = outsider
    with server_lanes(SIZE) as bring_up, pytest.raises(StudyError, match=f"do not listen at 127.0.0.1 port {port}"):
        bring_up(server=Server(("sleep", "60"), port=port, grace_s=1.0))


def test_a_server_that_ran_before_and_ends_fails_its_lane(outsider):
    """A process that was attached to and ends is missed after the next window, though it is not reaped yet."""
    port, process = outsider
    with server_lanes(SIZE) as bring_up:
        lane = bring_up(server=Server(attach=process.pid, port=port))
        assert lane.failure() is None
        process.kill()
        assert wait_until(lambda: lane.failure() is not None, 60)
        assert f"(pid {process.pid}) has ended" in str(lane.failure())


@pytest.mark.serial
def test_a_main_process_that_ends_in_mid_window_fails_the_window():
    """A server whose first process is killed while its children go on serving is no longer measured: the window is not recorded."""
    command = ("sh", "-c", '"$0" "$@" & wait', *RANGES)
    machine = Machine()
    with server_lanes(SIZE) as bring_up:
        lane = bring_up(server=Server(command, grace_s=1.0))
        wait_for_rest(lane)
        measure(lane, 0.02, machine)
        os.kill(lane.serving.running.pid, signal.SIGKILL)
        assert wait_until(lambda: lane.failure() is not None, 60)  # the supervisor tells of it as soon as it runs
        with pytest.raises(LaneFailed, match="was killed by SIGKILL"):
            measure(lane, 0.02, machine)
    machine.close()


def test_a_server_that_drips_is_given_up(monkeypatch, outsider):
    """A server that sends a few bytes now and then for ever is too slow: what is left of a window has a limit in all."""
    from zcload.lane import rest

    port, process = outsider
    with server_lanes(SIZE) as bring_up:
        lane = bring_up(server=Server(attach=process.pid, port=port))
        wait_for_rest(lane)
        dripped = iter(range(10**9))
        monkeypatch.setattr(type(lane), "received", lambda self: next(dripped))
        monkeypatch.setattr(type(lane), "all_arrived", lambda self: False)
        monkeypatch.setattr(rest, "longest_transfer_s", lambda count: 0.3)
        with pytest.raises(StudyError, match="did not come to rest in 0 s, though it still moves: its server is too slow"):
            wait_for_rest(lane)
