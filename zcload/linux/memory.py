"""Page-aligned memory for system calls: its address, and how much of it stays locked.

ctypes gives the address of writable buffers only; a mapping of a file is read-only, and the buffer protocol has its address.
"""

from __future__ import annotations

import ctypes
import mmap

PAGE = mmap.PAGESIZE
RING_BYTES = 4 << 20  # what a ring of buffers holds: twice the send queue of a socket with the default socket_buffer (socket(7): doubled)
_PYBUF_SIMPLE = 0  # Include/cpython/object.h: any contiguous bytes, read-only ones too


class _Buffer(ctypes.Structure):
    """Py_buffer (Include/pybuffer.h)."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )


def address_of(buffer: object) -> int:
    """Return the address of the first byte of *buffer*, read-only or not: valid until it is closed, resized or freed.

    Raises TypeError if it has no memory to show, BufferError if that is not in one piece.
    """
    view = _Buffer()
    # PyDLL turns the pending exception into one of ours; the release gives the export back, so a mapping can be closed later.
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(buffer), ctypes.byref(view), _PYBUF_SIMPLE)
    address = view.buf or 0
    ctypes.pythonapi.PyBuffer_Release(ctypes.byref(view))
    return int(address)


def anonymous(size: int) -> mmap.mmap:
    """Return *size* bytes of private, page-aligned memory with its pages in place, so that no window pays their faults."""
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE)


def page_aligned(size: int, offset: int = 0) -> memoryview:
    """Return *size* writable bytes that begin *offset* bytes into a page, their pages in place; freed with the last view.

    malloc puts a large block 16 bytes into a page, where copies cost more (docs/mechanisms.md): a buffer from here lies where it should.
    """
    return memoryview(anonymous(offset + size))[offset:]


def slots(size: int, chunk: int, most: int | None = None) -> tuple[int, int]:
    """Return (bytes of a slot, number of slots) of a ring of buffers for chunks of a file of *size* bytes.

    A slot holds a chunk in whole pages, at most *most* bytes; there are at least two, so that one is filled while another is sent.
    """
    slot = max(1, -(-min(chunk, size) // PAGE)) * PAGE
    if most is not None:
        slot = min(slot, most)
    return slot, max(2, RING_BYTES // slot)
