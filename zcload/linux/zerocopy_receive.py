"""TCP_ZEROCOPY_RECEIVE: map pages of a socket's receive queue into this process (net/ipv4/tcp.c, linux/tcp.h)."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket

from zcload.linux.memory import PAGE

TCP_ZEROCOPY_RECEIVE = 35  # linux/tcp.h; the socket module has no name for it

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.getsockopt.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_MAP_FAILED = ctypes.c_void_p(-1).value


class Request(ctypes.Structure):
    """struct tcp_zerocopy_receive of linux/tcp.h as Linux 4.18 brought it; every later kernel takes these 16 bytes too.

    What came later (inq, copybuf, timestamps) is asked for by passing more, and is not needed here.
    """

    _fields_ = [
        ("address", ctypes.c_uint64),  # in: where to map, a multiple of the page size
        ("length", ctypes.c_uint32),  # in: bytes to map at most; out: bytes mapped
        ("recv_skip_hint", ctypes.c_uint32),  # out: bytes that come next and cannot be mapped: recv takes them
    ]


class SocketMapping:
    """Room of *size* bytes (a multiple of the page size) in which the kernel maps pages of *sock*'s queue; raises OSError.

    The socket stays open, whoever closes it, until the mapping is closed.
    """

    def __init__(self, sock: socket.socket, size: int) -> None:
        # Not the mmap module: it will not tell the address of a read-only mapping, and tcp_mmap() allows no other.
        address = _libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, sock.fileno(), 0)
        if address == _MAP_FAILED:
            raise _error("mmap of a TCP socket")
        self._address: int | None = address
        self._size, self._fd = size, sock.fileno()
        self.view = memoryview((ctypes.c_char * size).from_address(address)).cast("B")
        self.next = 0  # bytes that recv must take before the next `take`, as the last one found
        self._request = Request(address=address)
        self._request_length = ctypes.c_uint32(ctypes.sizeof(Request))
        self._at = (ctypes.addressof(self._request), ctypes.addressof(self._request_length))

    def take(self) -> int:
        """Map what can be mapped of the queue's head, in place of what was mapped before; return the bytes, 0 if none can be.

        Never waits. Leaves in `next` how many bytes come then that cannot be mapped: 0 with nothing mapped means an empty queue.
        Raises OSError.
        """
        request = self._request
        request.length = self._size
        if _libc.getsockopt(self._fd, socket.IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, *self._at):
            if ctypes.get_errno() != errno.EIO:
                raise _error("TCP_ZEROCOPY_RECEIVE")
            # The end of the stream is EIO here (tcp_zerocopy_receive(): nothing queued and SOCK_DONE); recv says it as 0 bytes.
            self.next = 1
            return 0
        self.next = request.recv_skip_hint
        return int(request.length)

    def drop(self, size: int) -> None:
        """Unmap the first *size* bytes, so that the kernel has the pages back; raises OSError."""
        if _libc.madvise(self._address, size, mmap.MADV_DONTNEED):
            raise _error("madvise(MADV_DONTNEED)")

    def close(self) -> None:
        """Give the mapping back; harmless when called twice. `view` must not be read afterwards."""
        if self._address is not None:
            self.view = memoryview(b"")
            _libc.munmap(self._address, self._size)
            self._address = None


def whole_pages(size: int) -> int:
    """Return *size* in bytes without what does not fill a page."""
    return size - size % PAGE


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")
