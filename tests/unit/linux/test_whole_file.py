"""A file is written whole or not at all, and a link at its name is replaced, never followed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from zcload.linux import whole_file
from zcload.linux.whole_file import write_whole


@pytest.mark.parametrize("nameless", [True, False])
def test_a_planted_link_is_not_followed(tmp_path, monkeypatch, nameless):
    """Where somebody has put a link to another file, that file stays as it was, on file systems with and without O_TMPFILE."""
    if not nameless:
        monkeypatch.setattr(whole_file.os, "O_TMPFILE", os.O_DIRECTORY | os.O_RDWR)  # EISDIR, as old kernels answer
    victim, name = tmp_path / "victim", tmp_path / "name"
    victim.write_text("precious")
    name.symlink_to(victim)
    write_whole(name, b"new")
    assert victim.read_text() == "precious"
    assert not name.is_symlink()
    assert name.read_bytes() == b"new"
    assert sorted(os.listdir(tmp_path)) == ["name", "victim"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    """On a full disk the old content stays, and no draft."""
    name = tmp_path / "name"
    name.write_bytes(b"old")

    def full(fd, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(whole_file.os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(name, b"new")
    assert name.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["name"]


def test_a_kill_in_mid_write_leaves_nothing(tmp_path):
    """A process that is killed while it writes leaves no file: the draft has no name."""
    code = "import os, sys; from pathlib import Path; from zcload.linux import whole_file\n"
    code += "whole_file.os.write = lambda fd, data: os.kill(os.getpid(), 9)\n"
    code += "whole_file.write_whole(Path(sys.argv[1]) / 'name', b'new')\n"
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    assert os.listdir(tmp_path) == []
