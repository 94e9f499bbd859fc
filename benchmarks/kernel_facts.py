"""Try the facts about the kernel that docs/mechanisms.md calls measured, without zcload. Takes 256 MiB of memory and of disk for a moment.

    python benchmarks/kernel_facts.py --disk /var/tmp

Counts only, no times: they depend on the kernel and the file system, not on how busy the machine is.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import mmap
import os
import resource
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

KIB, MIB = 1024, 1024 * 1024
READ_ALL = """
import resource, sys
with open(sys.argv[1], "rb") as file:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    data = file.read()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def connected() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a TCP connection over loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sender = socket.create_connection(listener.getsockname())
        return sender, listener.accept()[0]


def zeros_after_truncation(directory: str, size: int) -> int:
    """Send 64 KiB with sendfile, truncate the file to *size* bytes, then receive; return how many zeros arrive."""
    sender, receiver = connected()
    with sender, receiver, tempfile.TemporaryFile(dir=directory) as file:
        file.write(b"x" * 64 * KIB)
        file.flush()
        os.fsync(file.fileno())
        sent = os.sendfile(sender.fileno(), file.fileno(), 0, 64 * KIB)
        os.ftruncate(file.fileno(), size)
        return receiver.recv(sent, socket.MSG_WAITALL).count(0)


def faults_of_mapping(directory: str) -> int:
    """Send 256 MiB from a fresh mapping; return the minor faults."""
    sender, receiver = connected()
    with sender, receiver, tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(256):
            file.write(b"x" * MIB)
        file.flush()
        os.fsync(file.fileno())
        with mmap.mmap(file.fileno(), 256 * MIB, prot=mmap.PROT_READ) as mapping, memoryview(mapping) as view:
            buffer = bytearray(64 * KIB)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for start in range(0, len(view), 64 * KIB):
                with view[start : start + 64 * KIB] as part:
                    sender.sendall(part)
                receiver.recv_into(buffer, 0, socket.MSG_WAITALL)
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def faults_of_read(tunables: str) -> str:
    """Read 64 MiB into fresh memory in a process with these GLIBC_TUNABLES; return its minor faults."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        file.write(b"x" * 64 * MIB)
        file.flush()
        command = [sys.executable, "-c", READ_ALL, file.name]
        return subprocess.run(
            command, env={**os.environ, "GLIBC_TUNABLES": tunables}, capture_output=True, text=True, check=True
        ).stdout.strip()


def answer(call: Callable[[], int]) -> str:
    """Return the number that *call* returns, or the name of its error."""
    try:
        return str(call())
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def sources_of_sendfile() -> dict[str, str]:
    """Return what sendfile of 100 bytes to a socket answers, by kind of source."""
    sender, receiver = connected()
    reader, writer = os.pipe()
    os.write(writer, b"x" * 100)
    fds = {"pipe": reader, "socket": receiver.fileno()}
    for path in ("/dev/zero", "/proc/version", "/proc/self/maps", "/"):
        fds[path] = os.open(path, os.O_RDONLY)
    return {name: answer(lambda fd=fd: os.sendfile(sender.fileno(), fd, None, 100)) for name, fd in fds.items()}  # type: ignore[misc]


def small_pipes(number: int) -> dict[int, int]:
    """Open *number* pipes as an ordinary user; return how many have which size in bytes."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        sizes = [fcntl.fcntl(os.pipe()[0], fcntl.F_GETPIPE_SZ) for _ in range(number)]
        os.write(writer, repr({size: sizes.count(size) for size in set(sizes)}).encode())
        os._exit(0)
    os.waitpid(child, 0)
    return dict(eval(os.read(reader, 4096)))


def main() -> None:
    """Print one line for each fact."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--disk", default=str(Path.home()), help="put the files that must not be in memory here")
    disk = parser.parse_args().disk
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"Linux {os.uname().release}")
    for directory in ("/dev/shm", disk):
        for size in (0, 100, 4096):
            print(
                f"{directory}: truncated to {size} after sendfile: {zeros_after_truncation(directory, size)} of 65536 bytes arrive as zeros"
            )
        print(f"{directory}: send of 256 MiB from a fresh mapping: {faults_of_mapping(directory)} minor faults")
    for tunables in ("", "glibc.malloc.hugetlb=1"):
        print(f"read of 64 MiB into fresh memory, GLIBC_TUNABLES={tunables!r}: {faults_of_read(tunables)} minor faults")
    for source, result in sources_of_sendfile().items():
        print(f"sendfile from {source}: {result}")
    print(f"sizes of 1100 pipes of an ordinary user: {small_pipes(1100)}")


if __name__ == "__main__":
    main()
