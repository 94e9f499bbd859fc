"""Run a command with standard streams as bad as those of real shells, pipes and terminals."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading

from support.paths import CONFIGS

STATES = ("closed", "full", "without a reader", "non-blocking", "ascii", "koi8-r")
_ENCODINGS = ("ascii", "koi8-r")


def run_with(arguments, state, *, cwd, stdout=True, stderr=True):
    """Run zcload with *stdout* and *stderr*, or one of them, in *state*; return its exit code and what came through each.

    A stream that is not in that state is an ordinary pipe, which is read to its end.
    """
    environment = {**os.environ, "PYTHONPATH": str(CONFIGS.parent), "TERM": "dumb"}
    if state in _ENCODINGS:
        environment["PYTHONIOENCODING"] = state
    closing = [f"{fd}>&-" for fd, bad in ((1, stdout), (2, stderr)) if bad and state == "closed"]
    command = ["sh", "-c", f'exec "$@" {" ".join(closing)}', "sh", sys.executable, "-m", "zcload", *map(str, arguments)]
    ends = [_end("usual" if not bad or state in ("closed", *_ENCODINGS) else state) for bad in (stdout, stderr)]
    said: list[bytes] = [b"", b""]
    readers = [threading.Thread(target=_read, args=(reader, said, n)) for n, (reader, _) in enumerate(ends)]
    process = subprocess.Popen(command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=ends[0][1], stderr=ends[1][1])
    for (_, writer), reader in zip(ends, readers, strict=True):
        os.close(writer)
        reader.start()
    try:
        code = process.wait(120)
    finally:
        process.kill()
        for reader in readers:
            reader.join()
    return code, *said


def _end(state):
    """Return the descriptor to read what is written, None if nobody does, and the one to write to."""
    if state == "full":
        return None, os.open("/dev/full", os.O_WRONLY)
    reader, writer = os.pipe()
    if state == "without a reader":
        os.close(reader)
        return None, writer
    if state == "non-blocking":
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(writer, False)
    return reader, writer


def _read(reader, said, number):
    if reader is not None:
        with open(reader, "rb") as source:
            said[number] = source.read()
