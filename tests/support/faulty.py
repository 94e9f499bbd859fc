"""A server program with one fault: `faulty.py FAULT PORT FILE`. Faults that come later begin with the 60th request."""

from __future__ import annotations

import os
import signal
import sys
import time

from fault_server import FaultServer, good

LATER = 60


def status(line):
    def answer(exchange):
        exchange.send(f"HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n".encode())
        return True

    return answer


def later(fault):
    return lambda exchange: fault(exchange) if exchange.number >= LATER else good(exchange)


def dies(exchange):
    print("out of cheese", flush=True)
    os._exit(3)


def short(exchange):
    exchange.send(exchange.head(), exchange.body[:1000])
    return False


def length(exchange):
    exchange.send(exchange.head("Content-Length: 17", length=False), exchange.body)
    return True


def garbage(exchange):
    exchange.send(b"\x16\x03\x01 nothing of HTTP\r\n\r\n")
    return False


def endless(exchange):
    exchange.send(b"HTTP/1.1 200 OK\r\n")
    for number in range(1_000_000):
        exchange.send(f"X-{number}: {'x' * 100}\r\n".encode())
    return False


def changes(exchange):
    os.chmod(FILE, 0o644)
    with open(FILE, "r+b") as file:
        file.write(b"another beginning")
    return good(exchange)


forked = []


def forks(exchange):
    if not forked:
        for _ in range(5):
            forked.append(os.fork())
            if not forked[-1]:
                signal.pause()
    return good(exchange)


FAULTS = {
    "dies": later(dies),
    "404": status("404 Not Found"),
    "500 later": later(status("500 Internal Server Error")),
    "short": later(short),
    "length": later(length),
    "garbage": later(garbage),
    "endless": later(endless),
    "changes": later(changes),
    "forks": later(forks),
    "ignores": good,
    "never": good,
}

if __name__ == "__main__":
    FAULT, PORT, FILE = sys.argv[1:]
    if FAULT == "ignores":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if FAULT != "never":
        with open(FILE, "rb") as file:
            FaultServer(file.read(), FAULTS[FAULT], port=int(PORT))
    while True:
        time.sleep(60)
