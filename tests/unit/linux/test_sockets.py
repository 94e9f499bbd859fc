"""Errors of accept(2) that are the connection's: whoever listens goes on."""

from __future__ import annotations

import errno
import os
import selectors
import socket
from types import SimpleNamespace

import pytest

from zcload.cluster.admission import Admission
from zcload.lane import connections
from zcload.lane.small_files.receive_loop import Fresh
from zcload.linux.sockets import ACCEPT_AGAIN
from zcload.oneshot.arrivals import Arrivals


class Failing:
    """A listener whose accept fails with the errno *code*."""

    def __init__(self, code):
        self.code = code

    def accept(self):
        raise OSError(self.code, os.strerror(self.code))


def of_lane(code):
    with selectors.DefaultSelector() as selector:
        connections._accept(Failing(code), {}, selector)


def of_fresh_connections(code):
    Fresh._accept(SimpleNamespace(_listener=Failing(code), _silent={}), SimpleNamespace())


def of_receive(code):
    Arrivals._accept(SimpleNamespace(_listener=Failing(code)))


LISTENERS = (of_lane, of_fresh_connections, of_receive)


@pytest.mark.parametrize("accept", LISTENERS)
@pytest.mark.parametrize("code", sorted(ACCEPT_AGAIN), ids=errno.errorcode.get)
def test_a_connection_that_ends_before_it_is_accepted_ends_no_listener(accept, code):
    """Each listener of a run goes on after every error that accept(2) tells to treat like EAGAIN."""
    accept(code)


@pytest.mark.parametrize("accept", LISTENERS)
def test_an_error_of_the_listener_is_told(accept):
    """An error of the process, such as EMFILE, is raised."""
    with pytest.raises(OSError, match="Too many open files"):
        accept(errno.EMFILE)


class Flaky(socket.socket):
    """A listener that fails first, with each errno of `ACCEPT_AGAIN`."""

    def accept(self):
        if codes:
            code = codes.pop()
            raise OSError(code, os.strerror(code))
        return super().accept()


codes: list[int] = []


def test_a_coordinator_goes_on_admitting_agents():
    """After all of these errors an agent that connects is still greeted."""
    codes[:] = ACCEPT_AGAIN
    listener = Flaky(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    admission = Admission(listener, None, b"secret")
    try:
        with socket.create_connection(listener.getsockname(), 60) as sock:
            assert sock.recv(1)  # of the coordinator's challenge
    finally:
        admission.close()
    assert codes == []
