"""Only regular files of a known size are read."""

from __future__ import annotations

import os
import socket

import pytest

from zcload.model.regular_file import check_size, open_regular, read_regular


def test_a_regular_file_is_read(tmp_path):
    """A file, also through a link, is read whole if it is not larger than allowed."""
    (tmp_path / "f").write_bytes(b"text")
    (tmp_path / "link").symlink_to("f")
    assert read_regular(tmp_path / "link", 4) == b"text"
    with pytest.raises(OSError, match="larger than 0 MiB"):
        read_regular(tmp_path / "f", 3)


@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "directory"])
def test_what_is_no_file_is_refused_at_once(tmp_path, kind):
    """A pipe without a writer, a device, a socket and a directory end in an error, and no descriptor stays open."""
    path = tmp_path / "x"
    before = len(os.listdir("/proc/self/fd"))
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "directory":
        path.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(path))
    with pytest.raises(OSError, match=r"not a file|directory|No such device or address"):
        open_regular(path)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("path", ["/proc/cpuinfo", "/sys/kernel/mm/transparent_hugepage/enabled"])
def test_contents_made_on_reading_are_told(path):
    """Files of /proc say that they are empty, those of /sys that they have 4096 bytes: what was seen is said, and what to do."""
    if not os.path.exists(path):
        pytest.skip(f"{path} is not there: it is on a Linux host that mounts /proc and /sys")
    fd = os.open(path, os.O_RDONLY)
    with pytest.raises(OSError, match=r"its size is (0|4096) bytes and reading it gives \d+: .* copy it into a file first"):
        check_size(fd)
    os.close(fd)


def test_sizes_that_hold_pass(tmp_path):
    """Files whose size is what they hold pass: empty, small, a page, large."""
    for size in (0, 1, 4095, 4096, 4097, 1 << 20):
        (tmp_path / "f").write_bytes(b"x" * size)
        fd = os.open(tmp_path / "f", os.O_RDONLY)
        check_size(fd)
        os.close(fd)
