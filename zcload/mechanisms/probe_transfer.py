"""A tiny transfer over loopback, checked byte by byte: it shows whether this host can run a mechanism, whatever its version."""

from __future__ import annotations

import errno
import os
import socket

from zcload.errors import ZcloadError, reason_of
from zcload.mechanisms.base import Mechanism, Unavailable

_CHUNK = 4096
_DATA = bytes(range(251)) * 40  # three chunks, the last one short; a period that is prime to a page
_TIMEOUT_S = 5.0

_REMEDIES = {
    errno.EPERM: "allow it in the container's seccomp profile, and set kernel.io_uring_disabled = 0",
    errno.ENOMEM: "raise the limit on locked memory: `ulimit -l unlimited`",
    errno.ENOBUFS: "raise the limit on locked memory: `ulimit -l unlimited`, and net.core.optmem_max",
}


_results: dict[type[Mechanism], Unavailable | None] = {}


def probe_transfer(cls: type[Mechanism], too_old: Unavailable) -> Unavailable | None:
    """Send a few pages through *cls*; return why it failed, None if it worked. *too_old*: the result if the kernel lacks the call.

    The result is cached: what a host can do does not change while zcload runs.
    """
    if cls not in _results:
        _results[cls] = _try(cls, too_old)
    return _results[cls]


def _try(cls: type[Mechanism], too_old: Unavailable) -> Unavailable | None:
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(_TIMEOUT_S)
            sender = socket.create_connection(listener.getsockname(), _TIMEOUT_S)
            receiver = listener.accept()[0]
    except OSError as error:
        return Unavailable(f"cannot try it: no connection over loopback ({reason_of(error)})", "run `ip link set lo up`")
    with sender, receiver:
        sender.settimeout(None)
        receiver.settimeout(_TIMEOUT_S)
        try:
            got = _transfer(cls, sender, receiver)
        except OSError as error:
            # EINVAL: io_uring's answer to operations and flags that are newer than the kernel.
            if error.errno in (errno.EINVAL, errno.ENOPROTOOPT, errno.EOPNOTSUPP, 524):  # 524: ENOTSUPP, linux/errno.h
                return too_old
            return Unavailable(f"a test transfer over loopback failed: {reason_of(error)}", _REMEDIES.get(error.errno or 0))
        except ZcloadError as error:
            return Unavailable(f"a test transfer over loopback failed: {error}", None)
    return (
        None
        if got == _DATA
        else Unavailable("a test transfer over loopback delivered other bytes than the file holds", "report this as a bug")
    )


def _transfer(cls: type[Mechanism], sender: socket.socket, receiver: socket.socket) -> bytes:
    """Send the data and return what arrived; it fits into the sockets' buffers, so neither end waits."""
    fd = os.memfd_create("zcload-probe", os.MFD_CLOEXEC)
    try:
        os.pwrite(fd, _DATA, 0)
        mechanism = cls(sender, fd, len(_DATA), _CHUNK)
        try:
            at = 0
            while at < len(_DATA):
                at += mechanism.send(at, min(_CHUNK, len(_DATA) - at))
            mechanism.drain()
        finally:
            mechanism.close()
    finally:
        os.close(fd)
    sender.shutdown(socket.SHUT_WR)
    parts = []
    while part := receiver.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)
