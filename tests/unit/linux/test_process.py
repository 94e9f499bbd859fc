"""Waiting for the end of a process."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys

import pytest

from zcload.linux.process import ended_within


@pytest.fixture(params=["pidfd", "refused", "absent"], autouse=True)
def pidfd(request, monkeypatch):
    """Take pidfd_open away, as an old kernel or a seccomp filter does, or a Python that was built with old headers."""
    if request.param == "absent":
        monkeypatch.delattr(os, "pidfd_open")
    elif request.param == "refused":
        monkeypatch.setattr(os, "pidfd_open", refuse)


def refuse(pid):
    """Fail as pidfd_open(2) does where there is none."""
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


@pytest.fixture
def sleeper():
    """Return a process that waits for a signal."""
    process = subprocess.Popen([sys.executable, "-S", "-c", "import signal; signal.pause()"])
    yield process
    process.kill()
    process.wait()


def test_a_process_that_has_ended_is_seen_and_not_reaped(sleeper):
    """The end of a child is seen, before and after it has come, and its status is still there for whoever reaps it."""
    sleeper.kill()
    assert ended_within(sleeper.pid, 60.0)
    assert ended_within(sleeper.pid, 0.0)
    assert os.waitpid(sleeper.pid, 0) == (sleeper.pid, signal.SIGKILL)
    sleeper.returncode = -signal.SIGKILL


@pytest.mark.parametrize("stopped", [False, True])
def test_a_process_that_lives_is_waited_for_until_the_limit(sleeper, stopped):
    """A process that runs, or is stopped, has not ended when the limit is over; a limit in the past is none."""
    if stopped:
        sleeper.send_signal(signal.SIGSTOP)
    assert not ended_within(sleeper.pid, 0.01)
    assert not ended_within(sleeper.pid, -1.0)


def test_a_process_that_somebody_else_has_reaped_has_ended(sleeper):
    """A child whose status another thread took has ended: that is no error."""
    sleeper.kill()
    sleeper.wait()
    assert ended_within(sleeper.pid, 60.0)
