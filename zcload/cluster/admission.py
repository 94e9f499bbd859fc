"""Admit agents: everybody who connects is greeted in a thread of its own, so that one that stays silent delays nobody.

The threads end before the first window: `close` breaks off greetings that are still going on.
"""

from __future__ import annotations

import queue
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass

from zcload.cluster.channel import GREETING_S, Channel, admit
from zcload.errors import Interrupted, StudyError, TimeLimitExceeded, reason_of
from zcload.linux.sockets import ACCEPT_AGAIN

MOST_AT_ONCE = 128  # greetings; whoever comes then waits in the listener's queue
LEAST_AT_ONCE = 8  # so that some that stay silent delay nobody


@dataclass(frozen=True, slots=True)
class Admitted:
    """An agent that knows the secret of the run: the name of its *host*, and the connection to it."""

    host: str
    channel: Channel


class Admission:
    """Greets all who connect to *listener*; whoever does not know *secret* is refused. Closes with `close`, and the listener with it."""

    def __init__(self, listener: socket.socket, context: ssl.SSLContext | None, secret: bytes, most_at_once: int = MOST_AT_ONCE) -> None:
        self._listener, self._context, self._secret = listener, context, secret
        self._results = queue.SimpleQueue[Admitted | StudyError]()
        self._room = threading.Semaphore(most_at_once)
        self._lock, self._greeted, self._closed = threading.Lock(), dict[socket.socket, threading.Thread](), False
        self._accepting = threading.Thread(target=self._accept, name="zcload-accept", daemon=True)
        self._accepting.start()

    def result(self, timeout_s: float) -> Admitted | StudyError | None:
        """Return the next agent that was admitted, or why a connection was refused; None if there is neither within *timeout_s*."""
        try:
            return self._results.get(timeout=timeout_s)
        except queue.Empty:
            return None

    def close(self) -> None:
        """Stop listening and break off all greetings; agents that were admitted and not asked for are closed."""
        with self._lock:
            self._closed, threads = True, list(self._greeted.values())
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(2), which close(2) would not
            for sock in self._greeted:
                with suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)  # under TLS: SSLSocket's own is not made for two threads
        for thread in (self._accepting, *threads):
            thread.join()
        self._listener.close()
        while (left := self.result(0)) is not None:
            if isinstance(left, Admitted):
                left.channel.close()

    def _accept(self) -> None:
        while True:
            self._room.acquire()
            try:
                sock, (peer, *_) = self._listener.accept()
            except OSError as error:
                if error.errno in ACCEPT_AGAIN and not self._closed:
                    self._room.release()
                    continue
                if not self._closed:
                    self._results.put(StudyError(f"connections of agents cannot be accepted: {reason_of(error)}"))
                return
            try:
                sock.settimeout(GREETING_S)
                if self._context:
                    sock = self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            except OSError:  # it has gone again
                sock.close()
                self._room.release()
                continue
            thread = threading.Thread(target=self._greet, args=(sock, f"a connection from {peer}"), name="zcload-greet", daemon=True)
            with self._lock:
                if self._closed:
                    sock.close()
                    return
                self._greeted[sock] = thread
                thread.start()

    def _greet(self, sock: socket.socket, peer: str) -> None:
        found: Admitted | StudyError | None = None
        try:
            found = _greeting(sock, peer, self._secret)
        except StudyError as error:
            found = error
        except (Interrupted, TimeLimitExceeded):
            pass  # the coordinator's thread checks for itself
        finally:
            with self._lock:  # in one step: `close` waits for a greeting that goes on, and closes an agent whose result nobody asked for
                del self._greeted[sock]
                if found is not None:
                    self._results.put(found)
            self._room.release()


def _greeting(sock: socket.socket, peer: str, secret: bytes) -> Admitted:
    """Return the agent at the other end of *sock*, which is closed otherwise; raises StudyError, Interrupted, TimeLimitExceeded."""
    try:
        if isinstance(sock, ssl.SSLSocket):
            sock.do_handshake()
        channel = Channel(sock, peer)
        return Admitted(admit(channel, secret), channel)
    except OSError as error:
        sock.close()
        raise StudyError(f"{peer} was refused: {reason_of(error)}") from None
    except BaseException:
        sock.close()
        raise
