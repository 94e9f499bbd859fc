"""Mechanisms and sinks over connected sockets, as the contract tests use them."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from contextlib import contextmanager

import pytest

from zcload.mechanisms import MECHANISMS
from zcload.sinks import SINKS

SMALLEST_BUFFER = 4608  # what the kernel makes of SO_SNDBUF = 1


PAYLOAD = [name for name, cls in MECHANISMS.items() if cls.moves_payload]


def values_of(kind):
    """Return values of an option beside its default, by what it takes."""
    return [kind[16]] if isinstance(kind, range) else kind[1:] if isinstance(kind, tuple) else [True]


OPTIONED = [(name, {}) for name in PAYLOAD] + [
    (name, {option: value}) for name in PAYLOAD for option, kind in MECHANISMS[name].options.items() for value in values_of(kind)
]


def _case(name, options, *sink):
    why = MECHANISMS[name].probe_options(options)
    marks = [pytest.mark.skip(reason=f"{name} {options}: {why.reason}; remedy: {why.remedy}")] if why else []
    words = (value for value in options.values() if isinstance(value, str))
    return pytest.param(name, options, *sink, id="-".join([name, *options, *words, *sink]), marks=marks)


def goes(name, sink):
    """Say whether the receivers of a mechanism can use a sink: what is encrypted needs one that decrypts."""
    return SINKS[sink].takes_tls or not MECHANISMS[name].encrypts


WITH_OPTIONS = [_case(name, options) for name, options in OPTIONED]
WITH_SINKS = [_case(name, options, sink) for sink in SINKS for name, options in OPTIONED if goes(name, sink)]


def available(cls):
    """Return *cls*, or skip with the reason it gives for itself."""
    why = cls.probe()
    if why is not None:
        pytest.skip(f"{cls.name}: {why.reason}" + (f" ({why.remedy})" if why.remedy else ""))
    return cls


def connected(name, pair, **buffers):
    """Return a connection, (sender's end, receiver's end), prepared as the mechanism wants it."""
    sender, receiver = pair(**buffers)
    cls = available(MECHANISMS[name])
    cls.prepare(sender, receiver)
    ends = cls.wrap(sender, receiver)
    pair.made.extend(ends)
    return ends


@contextmanager
def opened(name, sock, file, chunk, options=None):
    """Make a mechanism as the senders' loop does, and close it."""
    cls = available(MECHANISMS[name])
    mechanism = cls(sock, file.fd, file.size, chunk if cls.uses_chunk else file.size, **(options or {}))
    try:
        yield mechanism
    finally:
        mechanism.close()


class Receiver(threading.Thread):
    """Drain a socket through a sink to the end of the stream, resting *pause* seconds after each receive."""

    def __init__(self, sink, sock, chunk=65_536, pause=0.0):
        super().__init__(daemon=True)
        self.sink, self.sock, self.pause = SINKS[sink](chunk), sock, pause
        self.bytes, self.sha256, self.error = 0, hashlib.sha256(), None

    def run(self):
        try:
            self.sink.attach(self.sock)
            while got := self.sink.receive(self.sock):
                assert 0 < got <= self.sink.chunk
                self.bytes += got
                self.sha256.update(self.sink.payload[:got])
                if self.pause:
                    time.sleep(self.pause)
        except BaseException as error:
            self.error = error
        finally:
            self.sink.close()

    def holds(self, data):
        """Wait for the end and say whether what came is *data*, as far as the sink can see it."""
        self.join(20)
        assert not self.is_alive()
        assert self.error is None
        seen = self.sha256.digest() == hashlib.sha256(data).digest() if self.sink.sees_payload else True
        return seen and self.bytes == len(data)


@contextmanager
def receiving(sink, sender, receiver, **how):
    """Have a thread receive; the stream ends with the block, and so does the thread."""
    available(SINKS[sink])
    thread = Receiver(sink, receiver, **how)
    thread.start()
    try:
        yield thread
        sender.shutdown(socket.SHUT_WR)
    except BaseException:
        receiver.shutdown(socket.SHUT_RDWR)
        raise
    finally:
        thread.join(20)
