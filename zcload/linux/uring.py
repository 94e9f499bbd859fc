"""A small io_uring binding with ctypes and mmap: one ring, one thread, no polling thread.

Memory ordering. Python has no barriers; none is needed where this class works. The kernel reads the submission queue inside
io_uring_enter, in the thread that has just filled it. With DEFER_TASKRUN completions too are posted by this thread, inside
io_uring_enter: everything is in program order. Older kernels may post them from a worker thread on another CPU; x86 keeps
the order of such stores and of our loads, other CPUs do not promise it, so there the ring asks for DEFER_TASKRUN.

The GIL is released inside io_uring_enter: ctypes.CDLL does that.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct
import time
from collections.abc import Collection

from zcload.errors import os_error, reason_of
from zcload.linux import uring_abi as abi
from zcload.linux.memory import address_of

_U32 = 0xFFFFFFFF
_U64 = 0xFFFFFFFFFFFFFFFF
_MODES = (
    abi.SETUP_SUBMIT_ALL | abi.SETUP_COOP_TASKRUN | abi.SETUP_SINGLE_ISSUER | abi.SETUP_DEFER_TASKRUN,  # 6.1
    abi.SETUP_SUBMIT_ALL | abi.SETUP_COOP_TASKRUN,  # 5.19
    0,
)
_PATIENCE = 1000  # times, a millisecond apart, that the kernel may say it is short of requests before that becomes an error
_CANCEL_S = 1.0
_unpack, _pack_into, _CQE_BYTES, _SQE_BYTES = abi.CQE.unpack_from, abi.SQE.pack_into, abi.CQE.size, abi.SQE.size
_ORDERED = os.uname().machine in ("x86_64", "i686")

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.syscall.argtypes = (ctypes.c_long,) * 7  # without them ctypes would pass addresses as 32 bits
# io_uring_enter is called for every chunk, and converting to argtypes costs 0.8 us a call (measured): its four numbers are
# unsigned int, which is what ctypes makes of a Python int by itself; the address and its size come as ctypes objects.
_enter = ctypes.CDLL(None, use_errno=True).syscall
_enter.restype = ctypes.c_long
_NOTHING, _NO_BYTES = ctypes.c_void_p(0), ctypes.c_size_t(0)
_ARGUMENT_BYTES = ctypes.c_size_t(abi.GETEVENTS_ARG.size)


def syscall(number: int, a: int, b: int, c: int = 0, d: int = 0, e: int = 0, f: int = 0) -> int:
    """Make a system call and return its result; raises OSError."""
    result: int = _libc.syscall(number, a, b, c, d, e, f)
    if result < 0:
        code = ctypes.get_errno()
        raise os_error(code)
    return result


class Ring:
    """A ring with room for *entries* operations at a time and *completions* completions before the kernel must keep some aside."""

    def __init__(self, entries: int = 8, completions: int = 1024) -> None:
        """Make the ring; raises OSError as io_uring_setup(2) does, ENOSYS where the kernel is too old for this class."""
        self.enters = 0  # system calls so far
        self.unanswered = 0  # operations prepared that have no result yet
        self.buffers = False
        self._multishot: set[int] = set()  # tags of operations that go on while their completions have CQE_F_MORE
        self.fd, self.mode, params = _set_up(entries, completions)
        try:
            count, completions, _, _, _, features = abi.PARAMS.unpack_from(params)
            if not features & abi.FEAT_SINGLE_MMAP or not features & abi.FEAT_NODROP:
                raise OSError(errno.ENOSYS, "io_uring of this kernel is older than Linux 5.5")
            if not _ORDERED and not self.mode & abi.SETUP_DEFER_TASKRUN:
                raise OSError(errno.ENOSYS, f"io_uring on {os.uname().machine} needs Linux 6.1 here")
            self._timeouts = bool(features & abi.FEAT_EXT_ARG)
            _, tail, mask, _, flags, _, array, _ = abi.OFFSETS.unpack_from(params, abi.SQ_OFF)
            head, cq_tail, cq_mask, _, _, cqes, _, _ = abi.OFFSETS.unpack_from(params, abi.CQ_OFF)
            size = max(array + 4 * count, cqes + abi.CQE.size * completions)
            self._rings = _map(self.fd, size, abi.OFF_RINGS)
            self._sqes = _map(self.fd, abi.SQE.size * count, abi.OFF_SQES)
        except BaseException:
            os.close(self.fd)
            self.fd = -1
            raise
        self._words = memoryview(self._rings).cast("I")
        self._sq_tail, self._sq_flags, self._cq_head, self._cq_tail, self._cqes = tail // 4, flags // 4, head // 4, cq_tail // 4, cqes
        self._sq_mask, self._cq_mask = self._words[mask // 4], self._words[cq_mask // 4]
        for i in range(count):
            self._words[array // 4 + i] = i  # entry i of the queue is always entry i of the array
        self._tail, self._head, self._prepared, self._entries = self._words[self._sq_tail], self._words[self._cq_head], 0, count
        self._timespec = bytearray(abi.TIMESPEC.size)
        self._argument = bytearray(abi.GETEVENTS_ARG.pack(0, 0, 0, address_of(self._timespec)))
        self._argument_at = ctypes.c_void_p(address_of(self._argument))

    def prepare(
        self,
        op: int,
        fd: int,
        address: int,
        length: int,
        offset: int = 0,
        *,
        tag: int,
        op_flags: int = 0,
        entry_flags: int = 0,
        priority: int = 0,
        buffer: int = 0,
        splice_from: int = 0,
        multishot: bool = False,
    ) -> None:
        """Put an operation into the queue; the next `enter` submits it. *tag* comes back with its completions; -1 is "no offset".

        *buffer*: a registered buffer or a group of provided ones. *multishot*: CQE_F_MORE says that the operation goes on.
        """
        if self._prepared == self._entries:
            raise AssertionError(f"the ring has {self._entries} entries, and all are taken")
        at = (self._tail & self._sq_mask) * _SQE_BYTES
        _pack_into(
            self._sqes, at, op, entry_flags, priority, fd, offset & _U64, address & _U64, length, op_flags, tag, buffer, 0, splice_from
        )
        self._tail = (self._tail + 1) & _U32
        self._words[self._sq_tail] = self._tail
        self._prepared += 1
        self.unanswered += 1
        if multishot:
            self._multishot.add(tag)

    def enter(self, wait: int, timeout_s: float | None = None) -> bool:
        """Submit what is prepared and wait until *wait* completions are there, a signal came or *timeout_s* passed; say if it has not.

        Raises OSError. Whatever the reason to return, `reap` says what has come; what is missing is waited for by calling again.
        """
        flags, argument, size = abi.ENTER_GETEVENTS, _NOTHING, _NO_BYTES
        if timeout_s is not None and self._timeouts:
            abi.TIMESPEC.pack_into(self._timespec, 0, int(timeout_s), int(timeout_s % 1 * 1e9))
            flags, argument, size = flags | abi.ENTER_EXT_ARG, self._argument_at, _ARGUMENT_BYTES
        for _ in range(_PATIENCE):
            self.enters += 1
            submitted: int = _enter(abi.ENTER, self.fd, self._prepared, wait, flags, argument, size)
            if submitted >= 0:
                self._prepared -= submitted
                return True
            code = ctypes.get_errno()
            if code == errno.EINTR:  # the operations go on; Python's handlers run as soon as this returns
                return True
            if code == errno.ETIME:
                return False
            if code == errno.EBUSY:  # completions wait outside of the ring: make room for them first
                return True
            if code != errno.EAGAIN:
                raise OSError(code, f"io_uring_enter: {os.strerror(code)}")
            time.sleep(0.001)  # no memory for a request just now
        raise OSError(errno.EAGAIN, "io_uring_enter finds no memory for a request")

    def reap(self) -> list[tuple[int, int, int]]:
        """Take the completions that are there: (tag, result or -errno, flags) each, in the order in which they were posted."""
        words, found = self._words, []
        while True:
            head, tail = self._head, words[self._cq_tail]
            while head != tail:
                found.append(_unpack(self._rings, self._cqes + (head & self._cq_mask) * _CQE_BYTES))
                head = (head + 1) & _U32
            self._head = words[self._cq_head] = head
            if not words[self._sq_flags] & abi.SQ_CQ_OVERFLOW:
                break
            self.enter(0)  # moves those that found no room into the ring, behind what was just taken
        multishot = self._multishot
        for tag, _, flags in found:
            if flags & abi.CQE_F_NOTIF or (flags & abi.CQE_F_MORE and tag in multishot):
                continue
            self.unanswered -= 1
            if multishot:
                multishot.discard(tag)
        return found

    def register_buffers(self, *buffers: tuple[int, int]) -> None:
        """Pin *buffers* (address, bytes) under the numbers 0, 1, ...; raises OSError, ENOMEM beyond RLIMIT_MEMLOCK.

        Each is at most 1 GiB (io_uring_register(2)).
        """
        vectors = b"".join(struct.pack("=QQ", *each) for each in buffers)  # struct iovec
        syscall(abi.REGISTER, self.fd, abi.REGISTER_BUFFERS, address_of(vectors), len(buffers))
        self.buffers = True

    def unregister_buffers(self) -> None:
        """Release the registered buffers; raises OSError."""
        syscall(abi.REGISTER, self.fd, abi.UNREGISTER_BUFFERS, 0)
        self.buffers = False

    def register_provided(self, address: int, entries: int, group: int) -> None:
        """Register the ring of *entries* provided buffers at *address* as *group*; raises OSError, EINVAL before Linux 5.19."""
        wanted = abi.BUF_REG.pack(address, entries, group, 0)
        syscall(abi.REGISTER, self.fd, abi.REGISTER_PBUF_RING, address_of(wanted), 1)

    def unregister_provided(self, group: int) -> None:
        """Release *group*, with the buffers that are left in it; raises OSError."""
        wanted = abi.BUF_REG.pack(0, 0, group, 0)
        syscall(abi.REGISTER, self.fd, abi.UNREGISTER_PBUF_RING, address_of(wanted), 1)

    def supported(self) -> frozenset[int]:
        """Return the operations that this kernel's io_uring has; raises OSError (EINVAL before Linux 5.6)."""
        answer = bytearray(abi.PROBE_BYTES + 8 * abi.PROBE_OPS)
        syscall(abi.REGISTER, self.fd, abi.REGISTER_PROBE, address_of(answer), abi.PROBE_OPS)
        found = struct.iter_unpack("=BBHI", answer[abi.PROBE_BYTES : abi.PROBE_BYTES + 8 * answer[1]])
        return frozenset(op for op, _, flags, _ in found if flags & abi.PROBE_SUPPORTED)

    def _cancel(self) -> None:
        """End operations that an exception left under way: a worker of the kernel must not write into memory that is given back."""
        if not self.unanswered:
            return
        try:
            if self._prepared < self._entries:
                self.prepare(abi.ASYNC_CANCEL, -1, 0, 0, tag=_U64, op_flags=abi.CANCEL_ALL | abi.CANCEL_ANY)
            deadline = time.monotonic() + _CANCEL_S
            while self.unanswered and (left := deadline - time.monotonic()) > 0:
                self.enter(1, left)
                self.reap()
        except OSError:
            pass  # closing the ring cancels too, only later

    def close(self, held: bool = False) -> None:
        """Give everything back; harmless when called twice. *held*: the kernel still has buffers, so it gives them back when it is done."""
        if self.fd < 0:
            return
        self._cancel()
        if self.buffers and not held:
            # By itself it happens some time after the close, and the locked memory would still count against this user.
            try:
                self.unregister_buffers()
            except OSError:
                pass
        self._words.release()
        self._rings.close()
        self._sqes.close()
        os.close(self.fd)
        self.fd = -1


def _set_up(entries: int, completions: int) -> tuple[int, int, bytearray]:
    """Make the ring in the best mode this kernel has; return (descriptor, mode, the kernel's parameters)."""
    for mode in _MODES:
        params = bytearray(abi.PARAMS_BYTES)
        abi.PARAMS.pack_into(params, 0, 0, completions, mode | abi.SETUP_CQSIZE, 0, 0, 0)
        try:
            return syscall(abi.SETUP, entries, address_of(params)), mode, params
        except OSError as error:
            if error.errno != errno.EINVAL or not mode:  # EINVAL: flags that are newer than the kernel
                raise
    raise AssertionError("the last mode has no flags to be refused")


def _map(fd: int, size: int, offset: int) -> mmap.mmap:
    flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
    return mmap.mmap(fd, size, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE, offset=offset)


def why_not(operations: Collection[int]) -> tuple[str, str] | None:
    """Return (reason, remedy) if a ring or one of *operations* is not to be had here, None if all is there."""
    try:
        ring = Ring()
    except OSError as error:
        return _refused(error)
    try:
        missing = sorted(set(operations) - ring.supported())
    except OSError as error:
        if error.errno == errno.EINVAL:
            return "io_uring of this kernel cannot say which operations it has", "Linux 5.6 or newer"
        return _refused(error)
    finally:
        ring.close()
    if missing:
        since = max((abi.SINCE.get(op, "5.6") for op in missing), key=lambda version: [int(part) for part in version.split(".")])
        names = ", ".join(f"IORING_OP_{abi.OPERATIONS.get(op, op)}" for op in missing)
        return f"io_uring of this kernel has no {names}", f"Linux {since} or newer"
    return None


def _refused(error: OSError) -> tuple[str, str]:
    """Say why there is no ring."""
    if error.errno == errno.ENOSYS:
        return (
            "io_uring_setup fails with ENOSYS: this kernel has no io_uring that zcload can use, or a seccomp filter hides it",
            "Linux 5.6 or newer with CONFIG_IO_URING",
        )
    if error.errno in (errno.EPERM, errno.EACCES):
        disabled = _switch()
        if disabled == 2:
            return "io_uring is disabled (kernel.io_uring_disabled = 2)", "sysctl -w kernel.io_uring_disabled=0"
        if disabled == 1:
            return (
                "io_uring is disabled for this user (kernel.io_uring_disabled = 1)",
                "CAP_SYS_ADMIN, membership in kernel.io_uring_group, or sysctl -w kernel.io_uring_disabled=0",
            )
        return (
            f"io_uring_setup fails with {errno.errorcode[error.errno]}: a seccomp filter, such as the default one of container engines, "
            "or a security module",
            "allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp profile",
        )
    if error.errno == errno.ENOMEM:
        # Its rings count as locked memory before Linux 5.12 and again since 6.14, where the kernel allocates them as regions.
        return (
            "io_uring_setup fails with ENOMEM: its rings count as locked memory on some kernels, or memory is short",
            "ulimit -l unlimited",
        )
    return f"io_uring_setup fails with {errno.errorcode.get(error.errno or 0, error.errno)}: {reason_of(error)}", "see io_uring_setup(2)"


def _switch() -> int | None:
    """Return kernel.io_uring_disabled; None where there is no such switch (before Linux 6.6)."""
    try:
        with open("/proc/sys/kernel/io_uring_disabled", encoding="ascii") as switch:
            return int(switch.read())
    except (OSError, ValueError):
        return None
