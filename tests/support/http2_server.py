"""A small HTTP/2 server in threads, by the h2 library: it hands out ranges as a good server does, or goes wrong as it is told."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from contextlib import contextmanager

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import RequestReceived, WindowUpdated
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame

FRAME = 16_384


class Http2Server:
    """Serves *data*; *fault* names what goes wrong with the second request of each connection, None for nothing."""

    def __init__(self, data, fault=None, tls=None):
        self.data, self.fault = data, fault
        self.windows = set()  # (of a stream, of a connection) as each client announced them
        self.accepted, self.headers = 0, []
        self.context = None
        if tls:
            *files, protocols = tls
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*files)
            self.context.set_alpn_protocols(protocols)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.threads, self.socks = [], []
        self._start(self._accept)

    def _start(self, body, *arguments):
        self.threads.append(threading.Thread(target=body, args=arguments, daemon=True))
        self.threads[-1].start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            self.socks.append(sock)
            self._start(self._serve, sock)

    def _serve(self, sock):
        try:
            if self.context is not None:
                sock = self.context.wrap_socket(sock, server_side=True)
                self.socks.append(sock)
            if self.fault == "http1":
                sock.recv(65_536)
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                return
            Exchange(self, sock).run()
        except (OSError, ssl.SSLError):
            pass
        finally:
            sock.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for sock in self.socks:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join(10)


class Exchange:
    """One connection."""

    def __init__(self, server, sock):
        self.server, self.sock = server, sock
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="latin-1"))
        self.h2.initiate_connection()
        self.waiting = {}  # by stream: bytes that its window had no room for
        self.requests = 0

    def run(self):
        self.flush()
        while data := self.sock.recv(65_536):
            for event in self.h2.receive_data(data):
                if isinstance(event, RequestReceived):
                    self.answer(event)
                elif isinstance(event, WindowUpdated):
                    for stream in list(self.waiting):
                        self.send(stream)
            self.flush()

    def flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def answer(self, event):
        server, stream = self.server, event.stream_id
        fields = dict(event.headers)
        server.headers.append(fields)
        self.requests += 1
        server.windows.add((self.h2.remote_settings[SettingCodes.INITIAL_WINDOW_SIZE], self.h2.outbound_flow_control_window))
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", fields.get("range", ""))
        start, end = (int(found[1]), int(found[2]) + 1) if found else (0, len(server.data))
        fault = server.fault if self.requests > 1 else None
        length = end - start + (fault == "length")
        head = [(":status", "206" if found else "200"), ("content-length", str(length))]
        if fault == "unframed":  # without a length HTTP/2 still ends the body with its stream
            head.pop()
        if found:
            head.append(("content-range", f"bytes {start}-{end - 1}/{len(server.data)}"))
        if fault == "status":
            head[0] = (":status", "503")
        if fault == "reset":
            self.h2.send_headers(stream, head)
            self.h2.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
            return
        if fault == "goaway":
            self.h2.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
            return
        if fault == "last":  # no further request, but this one is answered; h2 itself could not go on after it
            self.flush()
            self.sock.sendall(GoAwayFrame(0, last_stream_id=stream, error_code=ErrorCodes.NO_ERROR).serialize())
        self.h2.send_headers(stream, [(":status", "103")])  # an interim answer comes first
        self.h2.send_headers(stream, head)
        self.waiting[stream] = server.data[start : end - (1000 if fault == "short" else 0)]
        if fault == "leave":
            self.h2.send_data(stream, server.data[:1000])
            self.flush()
            self.sock.shutdown(socket.SHUT_RDWR)
            return
        self.h2.ping(b"12345678")
        self.send(stream)

    def send(self, stream):
        while data := self.waiting.get(stream):
            room = min(self.h2.local_flow_control_window(stream), FRAME, len(data))
            if room <= 0:
                return
            self.h2.send_data(stream, data[:room])
            self.waiting[stream] = data[room:]
        if self.waiting.pop(stream, None) is not None:
            self.h2.end_stream(stream)


@contextmanager
def http2_serving(data, fault=None, tls=None):
    """Run a server of *data* within the block."""
    server = Http2Server(data, fault, tls)
    try:
        yield server
    finally:
        server.close()
