"""Connect to a server that is already listening: plain TCP, many connections at a time."""

from __future__ import annotations

import errno
import select
import socket
import time
from collections.abc import Callable

from zcload.errors import StudyError, os_error, reason_of
from zcload.linux import interrupt
from zcload.linux.sockets import numeric_family

Sockets = Callable[[int, int], list[socket.socket]]  # makes TCP sockets of a family, so many
_PORTION = 64  # at a time: a server's queue of new connections may be short
_TIMEOUT_S = 10.0


def plain_sockets(family: int, count: int) -> list[socket.socket]:
    """Return *count* new TCP sockets of this network namespace; raises OSError."""
    return [socket.socket(family, socket.SOCK_STREAM) for _ in range(count)]


def connect_to(address: str, port: int, count: int, sockets: Sockets = plain_sockets) -> list[socket.socket]:
    """Return *count* blocking sockets, connected to the numeric *address* and *port*; *sockets(family, count)* makes them.

    Raises StudyError, Interrupted.
    """
    family = numeric_family(address)
    connected: list[socket.socket] = []
    try:
        while len(connected) < count:
            portion = sockets(family, min(_PORTION, count - len(connected)))
            connected += portion
            _connect(portion, (address, port))
        for sock in connected:
            sock.setblocking(True)
        return connected
    except OSError as error:
        for sock in connected:
            sock.close()
        limit = " (see `ulimit -n`)" if error.errno == errno.EMFILE else ""
        what = f"cannot connect to {address} port {port}" + (f", connection {len(connected)} of {count}" if count > 1 else "")
        raise StudyError(f"{what}: {reason_of(error)}{limit}") from None
    except BaseException:
        for sock in connected:
            sock.close()
        raise


def _connect(portion: list[socket.socket], where: tuple[str, int]) -> None:
    """Connect all of *portion*; raises OSError with the reason of the first that fails."""
    deadline = time.monotonic() + _TIMEOUT_S
    poller = select.poll()
    waiting = {}
    for sock in portion:
        sock.setblocking(False)
        code = sock.connect_ex(where)
        if code not in (0, errno.EINPROGRESS):
            raise os_error(code)
        waiting[sock.fileno()] = sock
        poller.register(sock.fileno(), select.POLLOUT)
    while waiting:
        interrupt.check()
        if time.monotonic() > deadline:
            raise OSError(errno.ETIMEDOUT, f"no answer for {_TIMEOUT_S:.0f} s")
        for fd, _ in poller.poll(100):
            code = waiting[fd].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise os_error(code)
            poller.unregister(fd)
            del waiting[fd]
