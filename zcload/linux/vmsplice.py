"""vmsplice(2), which the standard library lacks: references to pages of this process go into a pipe."""

from __future__ import annotations

import ctypes

from zcload.errors import os_error


class _Iovec(ctypes.Structure):
    """struct iovec (linux/uio.h)."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Vmsplice:
    """Put references to memory into the pipe *writer*, with the call's arguments made once."""

    def __init__(self, writer: int) -> None:
        self._call = ctypes.CDLL(None, use_errno=True).vmsplice
        self._call.restype = ctypes.c_ssize_t
        self._writer, self._part = writer, _Iovec()
        self._parts = ctypes.byref(self._part)

    def __call__(self, address: int, count: int) -> int:
        """Put up to *count* bytes from *address* into the pipe; return how many it took. Raises OSError."""
        self._part.base, self._part.length = address, count
        taken = int(self._call(self._writer, self._parts, 1, 0))
        if taken < 0:
            raise os_error(ctypes.get_errno())
        return taken
