"""A tiny transfer over loopback, checked byte by byte: it shows whether this host can run a mechanism, whatever its version."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from zcload.errors import ZcloadError, reason_of
from zcload.mechanisms.base import Mechanism, Unavailable

_CHUNK = 4096
DATA = bytes(range(251)) * 40  # three chunks, the last one short; a period that is prime to a page
_TIMEOUT_S = 5.0

_REMEDIES = {
    errno.EPERM: "allow it in the container's seccomp profile, and set kernel.io_uring_disabled = 0",
    errno.ENOMEM: "raise the limit on locked memory: `ulimit -l unlimited`",
    errno.ENOBUFS: "raise the limit on locked memory: `ulimit -l unlimited`, and net.core.optmem_max",
}


_NO_OPTIONS: Mapping[str, Any] = {}
Judge = Callable[[Mechanism, int, int], None]

_results: dict[type[Mechanism], Unavailable | None] = {}


def probe_transfer(cls: type[Mechanism], too_old: Unavailable) -> Unavailable | None:
    """Send a few pages through *cls*; return why it failed, None if it worked. *too_old*: the result if the kernel lacks the call.

    The result is cached: what a host can do does not change while zcload runs.
    """
    if cls not in _results:
        _results[cls] = _try(cls, too_old)
    return _results[cls]


def transfer(cls: type[Mechanism], options: Mapping[str, Any] = _NO_OPTIONS, judge: Judge = lambda mechanism, moved, count: None) -> bytes:
    """Send a few pages over loopback through *cls* with *options*, and return what arrived.

    *judge* sees the mechanism, result and count of each send.
    The data fits into the sockets' buffers, so neither end waits. Raises OSError as the system calls do, and whatever *judge* raises.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(_TIMEOUT_S)
        sender = socket.create_connection(listener.getsockname(), _TIMEOUT_S)
        receiver = listener.accept()[0]
    with ExitStack() as stack:
        for end in (sender, receiver):
            stack.enter_context(end)
        sender.settimeout(None)
        cls.prepare(sender, receiver)
        sender, receiver = cls.wrap(sender, receiver)
        for end in (sender, receiver):
            stack.enter_context(end)
        receiver.settimeout(_TIMEOUT_S)
        _send(cls, options, sender, judge)
        sender.shutdown(socket.SHUT_WR)
        parts = []
        while part := receiver.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def _send(cls: type[Mechanism], options: Mapping[str, Any], sender: socket.socket, judge: Judge) -> None:
    fd = os.memfd_create("zcload-probe", os.MFD_CLOEXEC)
    try:
        os.pwrite(fd, DATA, 0)
        mechanism = cls(sender, fd, len(DATA), _CHUNK if cls.uses_chunk else len(DATA), **options)
        try:
            at = 0
            while at < len(DATA):
                count = min(_CHUNK, len(DATA) - at)
                moved = mechanism.send(at, count)
                judge(mechanism, moved, count)
                at += moved
            mechanism.drain()
        finally:
            mechanism.close()
    finally:
        os.close(fd)


def _try(cls: type[Mechanism], too_old: Unavailable) -> Unavailable | None:
    try:
        got = transfer(cls)
    except OSError as error:
        # EINVAL: io_uring's answer to operations and flags that are newer than the kernel.
        if error.errno in (errno.EINVAL, errno.ENOPROTOOPT, errno.EOPNOTSUPP, 524):  # 524: ENOTSUPP, linux/errno.h
            return too_old
        remedy = "run `ip link set lo up`" if error.errno == errno.ENETUNREACH else _REMEDIES.get(error.errno or 0)
        return Unavailable(f"a test transfer over loopback failed: {reason_of(error)}", remedy)
    except ZcloadError as error:
        return Unavailable(f"a test transfer over loopback failed: {error}", None)
    if got == DATA:
        return None
    return Unavailable("a test transfer over loopback delivered other bytes than the file holds", "report this as a bug")
