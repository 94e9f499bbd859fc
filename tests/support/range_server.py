"""A small server of whole files and ranges, a process of its own: `range_server.py PORT DIRECTORY`. It keeps connections open."""

from __future__ import annotations

import re
import socket
import socketserver
import sys
from pathlib import Path

ROOT = Path(sys.argv[2])


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        files, buffer = {}, b""
        while True:
            while b"\r\n\r\n" not in buffer:
                data = self.request.recv(65536)
                if not data:
                    return
                buffer += data
            request, _, buffer = buffer.partition(b"\r\n\r\n")
            text = request.decode("latin-1")
            name = text.split()[1].lstrip("/")
            body = files.get(name) or files.setdefault(name, (ROOT / name).read_bytes())
            found = re.search(r"^Range: bytes=(\d+)-(\d+)", text, re.MULTILINE)
            start, end = (int(found[1]), int(found[2]) + 1) if found else (0, len(body))
            closes = "Connection: close" in text
            lines = [f"HTTP/1.1 {'206 Partial Content' if found else '200 OK'}", f"Content-Length: {end - start}"]
            lines += [f"Content-Range: bytes {start}-{end - 1}/{len(body)}"] * bool(found) + ["Connection: close"] * closes
            self.request.sendall("\r\n".join([*lines, "", ""]).encode() + body[start:end])
            if closes:
                return


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


if __name__ == "__main__":
    with Server(("127.0.0.1", int(sys.argv[1])), Handler) as server:
        server.serve_forever()
