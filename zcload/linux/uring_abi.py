"""Constants and layouts of io_uring, from include/uapi/linux/io_uring.h; the kernel that introduced them in brackets."""

from __future__ import annotations

import struct

# System calls: asm-generic/unistd.h; since Linux 5.1 new calls have the same number on every architecture but alpha.
SETUP, ENTER, REGISTER = 425, 426, 427

# enum io_uring_op.
NOP, READ_FIXED, ASYNC_CANCEL, READ, SEND, RECV, SPLICE, SEND_ZC = 0, 4, 14, 22, 26, 27, 30, 47
OPERATIONS = {
    NOP: "NOP", READ_FIXED: "READ_FIXED", READ: "READ", SEND: "SEND", RECV: "RECV", SPLICE: "SPLICE", SEND_ZC: "SEND_ZC"
}  # fmt: skip
SINCE = {READ: "5.6", SEND: "5.6", RECV: "5.6", SPLICE: "5.7", SEND_ZC: "6.2"}  # SEND_ZC came with 6.0, its REPORT_USAGE with 6.2

# io_uring_setup(2) flags.
SETUP_CQSIZE = 1 << 3  # [5.5] the caller chooses the size of the completion queue
SETUP_SUBMIT_ALL = 1 << 7  # [5.18] an entry that fails does not keep those behind it from being submitted
SETUP_COOP_TASKRUN = 1 << 8  # [5.19] completions do not interrupt the task
SETUP_SINGLE_ISSUER = 1 << 12  # [6.0] only the task that made the ring submits
SETUP_DEFER_TASKRUN = 1 << 13  # [6.1] completions are posted only inside io_uring_enter with GETEVENTS

# struct io_uring_params: sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd, resv[3]; then the offsets.
PARAMS_BYTES, SQ_OFF, CQ_OFF = 120, 40, 80
PARAMS = struct.Struct("=6I")
OFFSETS = struct.Struct(
    "=8I"
)  # sq: head, tail, ring_mask, ring_entries, flags, dropped, array; cq: head, tail, mask, entries, overflow, cqes
FEAT_SINGLE_MMAP = 1 << 0  # [5.4] one mapping holds both rings
FEAT_NODROP = 1 << 1  # [5.5] completions that find no room are kept, not dropped
FEAT_EXT_ARG = 1 << 8  # [5.11] io_uring_enter takes a timeout

OFF_RINGS, OFF_SQES = 0, 0x10000000
SQ_CQ_OVERFLOW = 1 << 1  # sq_ring->flags: completions wait outside of the ring

# io_uring_enter(2) flags, and struct io_uring_getevents_arg: sigmask, sigmask_sz, pad, address of a __kernel_timespec.
ENTER_GETEVENTS, ENTER_EXT_ARG = 1 << 0, 1 << 3
GETEVENTS_ARG, TIMESPEC = struct.Struct("=QIIQ"), struct.Struct("=qq")

# io_uring_register(2) operations.
REGISTER_BUFFERS, UNREGISTER_BUFFERS, REGISTER_PROBE = 0, 1, 8
REGISTER_PBUF_RING, UNREGISTER_PBUF_RING = 22, 23  # [5.19]
PROBE_BYTES, PROBE_OPS, PROBE_SUPPORTED = 16, 256, 1 << 0  # struct io_uring_probe, then 8 bytes each: op, resv, flags (u16), resv2

# struct io_uring_sqe: opcode, flags, ioprio, fd, off, addr, len, the operation's flags, user_data, buf_index, personality, splice_fd_in.
SQE = struct.Struct("=BBHiQQIIQHHi16x")
IOSQE_BUFFER_SELECT = 1 << 5  # the kernel takes a buffer of the group in buf_index, which this field also is (buf_group)
IOSQE_IO_LINK = 1 << 2  # the next entry starts when this one has ended well and in full, else it ends with ECANCELED
CANCEL_ALL, CANCEL_ANY = 1 << 0, 1 << 2  # [5.19] IORING_ASYNC_CANCEL_*
RECVSEND_FIXED_BUF, SEND_ZC_REPORT_USAGE = 1 << 2, 1 << 3  # [6.0, 6.2] in ioprio of SEND_ZC

RECV_MULTISHOT = 1 << 1  # [6.0] in ioprio of RECV: goes on after each completion that has CQE_F_MORE
RECVSEND_BUNDLE = 1 << 4  # [6.10] in ioprio of SEND: takes several provided buffers at once

# struct io_uring_buf: addr, len, bid; its last 2 bytes are, in the first entry of a ring, the ring's tail. struct io_uring_buf_reg:
# ring_addr, ring_entries, bgid, flags, resv[3].
BUF, BUF_BYTES, BUF_TAIL = struct.Struct("=QIH"), 16, 14
BUF_REG = struct.Struct("=QIHH24x")
MOST_BUFFERS = 1 << 15  # of a ring: io_uring_register(2)

# struct io_uring_cqe: user_data, res, flags.
CQE = struct.Struct("=QiI")
CQE_F_BUFFER, CQE_BUFFER_SHIFT = 1 << 0, 16  # the upper 16 bits of flags are the (first) provided buffer that was used
CQE_F_MORE = 1 << 1  # another completion of the same entry will follow
CQE_F_NOTIF = 1 << 3  # this one is the notification: the kernel has let go of the buffer
NOTIF_USAGE_ZC_COPIED = 1 << 31  # in the notification's res, with SEND_ZC_REPORT_USAGE: data was copied after all
