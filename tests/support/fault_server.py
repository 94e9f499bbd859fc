"""A small threaded HTTP server for tests: it hands out bytes as a good server does, or answers in whatever wrong way it is told."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from contextlib import contextmanager


class Exchange:
    """One request as the server saw it: *number* counts those of all connections, *nth* those of this one; both from 1."""

    def __init__(self, server, sock, request, number, nth):
        self.server, self.sock, self.number, self.nth = server, sock, number, nth
        self.request = request.decode("latin-1")
        found = re.search(r"^Range: bytes=(\d+)-(\d+)\r$", self.request, re.MULTILINE)
        self.range = (int(found[1]), int(found[2]) + 1) if found else None

    @property
    def body(self):
        return self.server.data[slice(*self.range)] if self.range else self.server.data

    def head(self, *fields, status=None, length=True, version="HTTP/1.1"):
        """Return a right head, with *fields* more."""
        size = len(self.server.data)
        lines = [f"{version} {status or ('206 Partial Content' if self.range else '200 OK')}", "Date: Mon, 23 Nov 2026 22:00:00 GMT"]
        if self.range:
            lines.append(f"Content-Range: bytes {self.range[0]}-{self.range[1] - 1}/{size}")
        if length:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, *fields, "", ""]).encode()

    def send(self, *parts):
        self.sock.sendall(b"".join(parts))


def good(exchange):
    """Answer as asked, and stay open."""
    exchange.send(exchange.head(), exchange.body)
    return True


class FaultServer:
    """Answers each request with `answer(exchange)`, which returns whether the connection stays open."""

    def __init__(self, data, answer=good, tls=None, port=0):
        self.data, self.answer = data, answer
        self.requests = 0
        self.asked = 0  # bytes, by all requests together
        self.accepted = 0
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*tls)
        self.open = set()
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=2048)
        self.port = self.listener.getsockname()[1]
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.open.add(sock)
                self.accepted += 1
            thread = threading.Thread(target=self._serve, args=(sock,))
            self.threads.append(thread)
            thread.start()

    def _serve(self, sock):
        plain = sock
        try:
            if self.context is not None:
                sock = self.context.wrap_socket(plain, server_side=True)
                with self.lock:
                    self.open.add(sock)
            buffer, nth = b"", 0
            while True:
                while b"\r\n\r\n" not in buffer:
                    data = sock.recv(65536)
                    if not data:
                        return
                    buffer += data
                request, _, buffer = buffer.partition(b"\r\n\r\n")
                nth += 1
                exchange = Exchange(self, sock, request + b"\r\n", self.requests + 1, nth)
                with self.lock:
                    self.requests += 1
                    exchange.number = self.requests
                    self.asked += len(exchange.body)
                if not self.answer(exchange):
                    return
        except OSError:
            pass  # the client has gone, as it does when it has seen enough
        finally:
            with self.lock:
                self.open.discard(sock)
                self.open.discard(plain)
            for each in (sock, plain):
                each.close()

    def close(self):
        """Close all sockets and wait for all threads."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.threads[0].join(10)
        with self.lock:
            for sock in self.open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()


@contextmanager
def serving(data, answer=good, tls=None):
    """Run a FaultServer within the block."""
    server = FaultServer(data, answer, tls)
    try:
        yield server
    finally:
        server.close()
