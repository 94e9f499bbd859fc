"""Write a file whole or not at all: it has no name until it is complete (O_TMPFILE, open(2)), so nothing half written is left by a kill."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write *content* to *path*, in place of what is there; raises OSError, and then what was there is still there.

    A link that somebody has put at the name is replaced, never followed.
    """
    within = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    draft = f".{path.name}.{secrets.token_hex(8)}"
    named = False
    try:
        try:
            fd = os.open(path.parent, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o644)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT):  # open(2): file systems and kernels without O_TMPFILE
                raise
            fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=within)
            named = True
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(fd, view) :]
            if not named:
                # Only with a directory descriptor does CPython call linkat(2), which follows /proc's link to the nameless file.
                os.link(f"/proc/self/fd/{fd}", draft, dst_dir_fd=within, follow_symlinks=True)
                named = True
        finally:
            os.close(fd)
        os.rename(draft, path.name, src_dir_fd=within, dst_dir_fd=within)
        named = False
    finally:
        if named:
            os.unlink(draft, dir_fd=within)
        os.close(within)
