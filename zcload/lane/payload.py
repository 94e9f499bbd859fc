"""The file that is sent: the user's own, opened read-only and watched for changes, or one that zcload makes.

A made file is incompressible and the same on every machine: block i of 1 MiB is SHAKE-128 of its number, and every 4 KiB page starts with
its own index, so that a page out of place shows. In memory it is a memfd: it has no name, is sealed against writing, and is freed with the
last process that holds it.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import mmap
import os
import secrets
import socket
import stat
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

from zcload.errors import ConfigError, Problem, StudyError, reason_of
from zcload.host.topology import cgroup_limits
from zcload.lane.file_pages import arrange_pages, share_in_huge_pages
from zcload.lane.worker import Worker, spawn
from zcload.linux import interrupt
from zcload.linux.memory import page_aligned
from zcload.linux.pagecache import memory_file_system
from zcload.linux.whole_file import write_whole
from zcload.model.regular_file import check_size
from zcload.model.study import FilePages, Point
from zcload.model.units import human_bytes

BLOCK = 1 << 20
PAGE = 4096
MEMORY_RESERVE = 256 << 20  # what a made file leaves free for everything else, also for the huge page that its end has for a moment
_F_ADD_SEALS, _SEALS = 1033, 1 | 2 | 4 | 8  # linux/fcntl.h: seal, shrink, grow, write

DigestProgress = Callable[[str, float], None]  # what is being done, how far (0..1)


@dataclass(slots=True)
class Source:
    """An open file to send. *digest* is its SHA-256; `check` compares the file with *stamp*."""

    fd: int
    size: int
    digest: str
    path: str | None
    stamp: tuple[int, int]
    huge_share: float | None = None  # how much of a file in memory lies in huge pages (0..1); None: of no other, or unknown
    _shares: dict[tuple[tuple[int, int], ...], tuple[str, ...]] = field(default_factory=dict)

    def share_digests(self, parts: tuple[tuple[int, int], ...], progress: DigestProgress) -> tuple[str, ...]:
        """Return the SHA-256 of each part (start, end) of the file."""
        if parts not in self._shares:
            known = {(0, self.size): self.digest}
            known |= {part: _digest(self.fd, *part, self.size, progress) for part in dict.fromkeys(parts) if part not in known}
            self._shares[parts] = tuple(known[part] for part in parts)
        return self._shares[parts]

    def check(self) -> None:
        """Raise StudyError if the file was changed since it was opened."""
        now = os.fstat(self.fd)
        if (now.st_size, now.st_mtime_ns) != self.stamp:
            how = f"its size went from {self.stamp[0]} to {now.st_size} bytes" if now.st_size != self.stamp[0] else "it was written to"
            raise StudyError(f"{self.path or 'the made file'} was changed during the run: {how}")

    def close(self) -> None:
        """Close the file; this frees a file in memory."""
        os.close(self.fd)


def required_memory(point: Point) -> int:
    """Return the bytes of memory that the point's file needs: a made file without a directory lives in memory."""
    return point.file_size if point.file is None and point.dir is None else 0


def open_source(point: Point, progress: DigestProgress, folder: Path | None = None) -> Source:
    """Open the point's file, or make it: in memory, or in *folder* if other programs must find it there by name.

    Raises ConfigError if it cannot be, Interrupted on a signal.
    """
    if point.file is not None:
        return _open_own(point.file, progress)
    check_room([point])
    if point.dir is None and folder is not None:
        return _shown(point, folder, progress)
    if point.dir is None:
        return fill_memory(empty_memory(), point.file_size, point.file_pages, progress)
    return _named(point, Path(point.dir), progress)


def empty_memory() -> int:
    """Return the descriptor of an empty file in memory, which a made file is to fill."""
    return os.memfd_create("zcload", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)


def fill_memory(fd: int, size: int, pages: FilePages, progress: DigestProgress) -> Source:
    """Make a file of *size* bytes in the empty file in memory *fd*, which then nobody can change; closes *fd* if that fails.

    Raises ConfigError also where the kernel cannot give it such *pages*.
    """
    try:
        arrange_pages(fd, size, pages)
        return _sealed(fd, _fill(fd, size, progress, "workload.file_size"))
    except BaseException:
        os.close(fd)
        raise


def copy_memory(fd: int, size: int, digest: str, pages: FilePages) -> Source:
    """Return a copy of the made file *fd* in other pages of memory, which lie as *pages* asks for."""
    copy = empty_memory()
    try:
        arrange_pages(copy, size, pages)
        done = 0
        while done < size:
            done += os.sendfile(copy, fd, done, size - done)
        return _sealed(copy, digest)
    except BaseException:
        os.close(copy)
        raise


def open_memory(fd: int, digest: str) -> Source:
    """Return the made file in memory *fd* (owned by the result) as it is."""
    source = _source(fd, digest, None)
    source.huge_share = share_in_huge_pages(fd, source.size)
    return source


def _sealed(fd: int, digest: str) -> Source:
    """Return the file in memory *fd*, which is complete, sealed against changes."""
    fcntl.fcntl(fd, _F_ADD_SEALS, _SEALS)
    return open_memory(fd, digest)


def known_source(fd: int, digest: str, path: str | None) -> Source:
    """Return the file *fd* (owned by the result) whose SHA-256 is known."""
    return _source(fd, digest, path)


def _source(fd: int, digest: str, path: str | None) -> Source:
    info = os.fstat(fd)
    return Source(fd, info.st_size, digest, path, (info.st_size, info.st_mtime_ns))


def check_own(path: str) -> int:
    """Return the size of the user's file *path*; raises ConfigError if it cannot be sent."""
    key = "workload.file"
    try:
        info = os.stat(path)
    except OSError as error:
        raise ConfigError(Problem(f"{path}: {reason_of(error)}", key=key)) from None
    except ValueError:
        raise ConfigError(Problem(f"{path!r} is no path: it holds a null byte", key=key)) from None
    if stat.S_ISDIR(info.st_mode):
        raise ConfigError(Problem(f"{path} is a directory, not a file", key=key))
    if not stat.S_ISREG(info.st_mode):
        raise ConfigError(Problem(f"{path} is not a regular file", key=key))
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            check_size(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise ConfigError(Problem(f"{path}: {reason_of(error)}", key=key)) from None
    if not info.st_size:
        raise ConfigError(Problem(f"{path} is empty: there is nothing to send", key=key))
    return info.st_size


def _open_own(path: str, progress: DigestProgress) -> Source:
    size = check_own(path)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(Problem(f"{path}: {reason_of(error)}", key="workload.file")) from None
    try:
        source = _source(fd, "", path)
        source.digest = _digest(fd, 0, size, size, progress)
        return source
    except BaseException:
        os.close(fd)
        raise


def available_memory() -> int:
    """Return the bytes available without swapping, on the machine or in the control group, whichever is less."""
    free = cgroup_limits().memory_free_bytes
    try:
        available = psutil.virtual_memory().available
    except OSError:  # no /proc/meminfo, as with subset=pid (proc(5)): sysinfo(2) counts less as available, not more
        available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return available if free is None else min(available, free)


def check_room(points: Iterable[Point]) -> None:
    """Raise ConfigError if the files that are to be made for *points* do not fit into memory or onto their disks all at once."""
    made = {p.file_identity: p for p in points if p.file is None}.values()
    wanted = sum(required_memory(point) for point in made)
    free = available_memory()
    less = f" ({human_bytes(free)} are free, less {human_bytes(MEMORY_RESERVE)} for processes)"
    _require(wanted, free - MEMORY_RESERVE, "memory", "workload.file_size", "choose a smaller file_size, or a dir on a disk", less)
    for folder in {point.dir for point in made if point.dir is not None}:
        there = next(path for path in (Path(folder).absolute(), *Path(folder).absolute().parents) if path.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            why = "permission denied" if there.is_dir() else f"{there} is not a directory"
            raise ConfigError(Problem(f"cannot make files in {folder}: {why}", key="workload.dir"))
        sizes = [p.file_size for p in made if p.dir == folder and not _made_path(p).exists()]
        room = os.statvfs(there)
        _require(
            sum(sizes), room.f_bavail * room.f_frsize, f"room in {folder}", "workload.dir", "choose a smaller file_size, or another dir"
        )


def _require(wanted: int, available: int, where: str, key: str, remedy: str, less: str = "") -> None:
    if wanted > available:
        what = f"{human_bytes(wanted)} of files do not fit: {human_bytes(max(available, 0))} of {where} can be used{less}"
        raise ConfigError(Problem(what, key=key, remedy=remedy))


def _made_path(point: Point) -> Path:
    return Path(point.dir or "") / f"zcload-{point.file_size}.dat"


def _shown(point: Point, folder: Path, progress: DigestProgress) -> Source:
    """Make the point's file in *folder*, readable for everybody; whoever made the folder removes it."""
    path = folder / f"zcload-{point.file_size}.dat"
    try:
        in_memory = memory_file_system(str(folder)) is not None
        fd, digest = _make_named(folder, path, point.file_size, progress, point.file_pages if in_memory else "small")
        os.fchmod(fd, 0o444)
        source = _source(fd, digest, str(path))
        source.huge_share = share_in_huge_pages(fd, source.size) if in_memory else None
        return source
    except OSError as error:
        raise ConfigError(Problem(f"cannot make {path}: {reason_of(error)}", key="workload.dir")) from None


def _named(point: Point, folder: Path, progress: DigestProgress) -> Source:
    """Open <dir>/zcload-<size>.dat if size and digest fit, else make it; it is kept, with its digest in sha256sum's format beside it.

    The names can be guessed, and others may be able to write to the directory: no link there is followed, for reading or for writing.
    """
    path = _made_path(point)
    note = folder / f"{path.name}.sha256"
    try:
        kept = _kept(path, note, point.file_size, progress)
        if kept is not None:
            return kept
        folder.mkdir(parents=True, exist_ok=True)
        fd, digest = _make_named(folder, path, point.file_size, progress)
        try:
            write_whole(note, f"{digest}  {path.name}\n".encode())
        except BaseException:
            os.close(fd)
            raise
        return _source(fd, digest, str(path))
    except OSError as error:
        raise ConfigError(Problem(f"cannot make {path}: {reason_of(error)}", key="workload.dir")) from None


def _kept(path: Path, note: Path, size: int, progress: DigestProgress) -> Source | None:
    """Return the file at *path* if it has the *size*, and the digest that *note* tells; else None. Raises OSError, Interrupted."""
    told, fd = _open_regular(note), -1
    if told < 0:
        return None
    try:
        expected = (os.read(told, 4096).decode(errors="replace").split() or [""])[0]
        fd = _open_regular(path)
        if fd < 0 or os.fstat(fd).st_size != size or _digest(fd, 0, size, size, progress) != expected:
            return None
        kept, fd = _source(fd, expected, str(path)), -1
        return kept
    finally:
        os.close(told)
        if fd >= 0:
            os.close(fd)


def _open_regular(path: Path) -> int:
    """Return a descriptor of the regular file at *path*; -1 if there is none, or a link, or something that could be waited for for ever."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO, errno.ENOTDIR):
            return -1
        raise
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    return -1


def _make_named(folder: Path, path: Path, size: int, progress: DigestProgress, pages: FilePages = "small") -> tuple[int, str]:
    """Make *path* so that it has no name until it is whole: nothing half made is left, whatever happens.

    Return a descriptor of it, for reading, and its SHA-256.
    """
    within = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    hidden = ""
    try:
        fd = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR):  # open(2): what file systems and kernels without O_TMPFILE say
            os.close(within)
            raise
        hidden = f".{path.name}.{secrets.token_hex(8)}"
        fd = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=within)
    try:
        arrange_pages(fd, size, pages)
        digest = _fill(fd, size, progress, "workload.dir")
        os.fsync(fd)
        if hidden:
            os.rename(hidden, path.name, src_dir_fd=within, dst_dir_fd=within)
            hidden = ""
        else:
            path.unlink(missing_ok=True)
            # Only with a directory descriptor does CPython call linkat(2), which follows /proc's link to the nameless file.
            os.link(f"/proc/self/fd/{fd}", path.name, dst_dir_fd=within, follow_symlinks=True)
        return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC), digest
    finally:
        if hidden:
            os.unlink(hidden, dir_fd=within)
        os.close(fd)
        os.close(within)


def block_bytes(number: int) -> bytearray:
    """Return block *number* of a made file: 1 MiB, incompressible, every page headed by its own index (8 bytes, little-endian)."""
    block = bytearray(hashlib.shake_128(b"zcload file 1, block %d" % number).digest(BLOCK))
    first = number * (BLOCK // PAGE)
    for page in range(BLOCK // PAGE):
        struct.pack_into("<Q", block, page * PAGE, first + page)
    return block


def _fill(fd: int, size: int, progress: DigestProgress, key: str) -> str:
    """Write *size* bytes of the made file into *fd* with a process per CPU, digesting behind them; return the SHA-256."""
    blocks = -(-size // BLOCK)
    makers = max(1, min(len(os.sched_getaffinity(0)), blocks, 16))
    done = memoryview(mmap.mmap(-1, 8 * 16 * makers)).cast("q")  # a cache line pair a maker: how many blocks it has written

    def body(maker: int, control: socket.socket) -> None:
        for count, number in enumerate(range(maker, blocks, makers)):
            start = number * BLOCK
            view = memoryview(block_bytes(number))[: size - start]
            while view:
                written = os.pwrite(fd, view, start)
                view, start = view[written:], start + written
            done[16 * maker] = count + 1

    workers: list[Worker] = []
    digest = hashlib.sha256()
    buffer = page_aligned(BLOCK)
    try:
        for m in range(makers):
            workers.append(spawn("file", "maker", m, partial(body, m), [fd], None))  # noqa: PERF401 - one that fails must not lose the others
        for number in range(blocks):
            maker, turn = number % makers, number // makers
            while done[16 * maker] <= turn:
                error = workers[maker].failure() if done[16 * maker] <= turn else None
                if error is not None and done[16 * maker] <= turn:
                    what = f"the file could not be made: {error}"
                    # One that was killed says nothing about what was asked for.
                    raise StudyError(what) if workers[maker].signalled else ConfigError(Problem(what, key=key))
                interrupt.pause(0.005)
                interrupt.check()
            digest.update(buffer[: os.preadv(fd, (buffer,), number * BLOCK)])
            progress("making the file", (number + 1) / blocks)
    finally:
        for worker in workers:
            worker.end()
    return digest.hexdigest()


def _digest(fd: int, start: int, end: int, size: int, progress: DigestProgress) -> str:
    """Return the SHA-256 of bytes start..end of *fd*; reading them also brings them into the page cache."""
    digest = hashlib.sha256()
    buffer = page_aligned(4 * BLOCK)
    while start < end:
        got = os.preadv(fd, (buffer[: min(len(buffer), end - start)],), start)
        if not got:
            raise StudyError(f"reading the file ended at byte {start}; its size was {size} bytes and is {os.fstat(fd).st_size}")
        digest.update(buffer[:got])
        start += got
        progress("digesting the file", start / size)
        interrupt.check()
    return digest.hexdigest()
