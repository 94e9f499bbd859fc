"""What the HTTP receivers need of the CPU, against curl: the same bytes of the same server, in turn.

    .venv/bin/python benchmarks/http_receiver.py [--rounds N]

Serves a file from a process of its own (os.sendfile in a loop), fetches it with zcload's receiver through the sink `discard` and with
curl into /dev/null, in random order round after round, each as a process of its own, and prints both CPU times per GB and their ratio
with its 95 % interval (bootstrap over the rounds). curl's time is that of its transfer: what it needs for one byte is taken off.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

from zcload.lane.board import GATE, Board
from zcload.server.http.connect import connect_to
from zcload.server.http.connection import Connection
from zcload.server.http.fetcher import Fetcher
from zcload.server.http.target import Target

SIZE = 1 << 28
TIMES = 8  # whole files a round


def serve(listener: socket.socket, fd: int) -> None:
    """Answer every request with the whole file."""

    def talk(sock: socket.socket) -> None:
        while request := sock.recv(65536):
            found = re.search(rb"bytes=(\d+)-(\d+)", request)
            at, end = (int(found[1]), int(found[2]) + 1) if found else (0, SIZE)
            status = f"206 Partial Content\r\nContent-Range: bytes {at}-{end - 1}/{SIZE}" if found else "200 OK"
            sock.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {end - at}\r\n\r\n".encode())
            while at < end:
                at += os.sendfile(sock.fileno(), fd, at, min(end - at, 1 << 20))
        sock.close()

    while True:
        threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()


def cpu_of(run) -> float:
    """Return the CPU seconds of *run*, called in a forked child that it may replace."""
    pid = os.fork()
    if not pid:
        try:
            run()
        finally:
            os._exit(0)
    _, status, usage = os.wait4(pid, 0)
    assert status == 0, f"status {status}"
    return usage.ru_utime + usage.ru_stime


def receive(port: int) -> float:
    """Return the CPU seconds of a receiver that fetches the file TIMES times, its setting-up not counted."""
    board, (reader, writer) = Board(1), os.pipe()

    def run() -> None:
        fetcher = Fetcher(
            [(0, connect_to("127.0.0.1", port, 1)[0])],
            Target(("127.0.0.1", port), "localhost", "/", SIZE, SIZE, 1),
            "discard",
            1 << 18,
            board,
            0,
        )
        left = iter(range(TIMES))

        def more(connection: Connection) -> bool:
            if next(left, None) is None:
                return False
            connection.ask(0, SIZE)
            return True

        before = time.process_time()
        fetcher.fetch(fetcher.taker, more)
        os.write(writer, f"{time.process_time() - before} {fetcher.total}".encode())

    assert board.words[GATE] == 0
    cpu_of(run)
    seconds, total = os.read(reader, 100).split()
    assert int(total) == TIMES * SIZE
    os.close(reader)
    os.close(writer)
    return float(seconds)


def curl(port: int) -> float:
    """Return the CPU seconds of a curl that fetches the file TIMES times over one connection, less those of one that fetches a byte."""
    url = f"http://127.0.0.1:{port}/"

    def run(*options: str) -> float:
        return cpu_of(lambda: os.execvp("curl", ["curl", "-sS", *options]))

    many = [word for _ in range(TIMES) for word in ("-o", "/dev/null", url)]
    return run(*many) - run("-r", "0-0", "-o", "/dev/null", url)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    if shutil.which("curl") is None:
        sys.exit("there is no curl: apt-get install curl")
    version = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    fd = os.memfd_create("file")
    os.truncate(fd, SIZE)
    for at in range(0, SIZE, 1 << 20):
        os.pwrite(fd, os.urandom(1 << 20), at)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = os.fork()
    if not server:
        serve(listener, fd)
    try:
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(rounds):
            for side in random.sample([0, 1], 2):
                (ours, theirs)[side].append((receive, curl)[side](port))
    finally:
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)
    gigabytes = TIMES * SIZE / 1e9
    draw = random.Random(1)
    picks = [[draw.randrange(rounds) for _ in range(rounds)] for _ in range(4000)]
    ratios = sorted(sum(ours[i] for i in pick) / sum(theirs[i] for i in pick) for pick in picks)
    print(f"receiver, discard  {1000 * statistics.median(ours) / gigabytes:6.0f} ms CPU per GB")
    print(f"curl {version:<13} {1000 * statistics.median(theirs) / gigabytes:6.0f} ms CPU per GB")
    print(f"ratio {sum(ours) / sum(theirs):.2f} ({ratios[100]:.2f}..{ratios[-101]:.2f}), {rounds} rounds of {gigabytes:.1f} GB")


if __name__ == "__main__":
    main()
