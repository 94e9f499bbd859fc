"""Read files that somebody else made: a named pipe, a device or more bytes than expected end in an error, not in a process that hangs."""

from __future__ import annotations

import errno
import os
import stat

_PAGE = 4096  # files of sysfs have this size, those of procfs none

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def open_regular(path: str | os.PathLike[str]) -> int:
    """Open the regular file *path* for reading; raises OSError, also for what is no regular file, without waiting for anything."""
    # Without O_NONBLOCK the open of a named pipe waits for its writer.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(
                errno.EINVAL, f"{_KINDS.get(stat.S_IFMT(mode), 'something else')}, not a file: copy what it holds into a file first"
            )
    except BaseException:
        os.close(fd)
        raise
    return fd


def read_regular(path: str | os.PathLike[str], most: int) -> bytes:
    """Return the content of the regular file *path*; raises OSError, also for one of more than *most* bytes."""
    with open(open_regular(path), "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"larger than {most >> 20} MiB")
    return content


def check_size(fd: int) -> None:
    """Raise OSError if the open file *fd* does not hold as many bytes as its size says: in /proc and /sys contents are made on reading."""
    size = os.fstat(fd).st_size
    if size <= _PAGE and (held := len(os.pread(fd, _PAGE, 0))) != size:
        what = f"its size is {size} bytes and reading it gives {held}: its content is made when it is read; copy it into a file first"
        raise OSError(errno.EINVAL, what)
