"""Send one request before anything is measured: can this server be measured, and does it serve the file?"""

from __future__ import annotations

import re
import socket
import time
from dataclasses import replace

from zcload.errors import StudyError, reason_of
from zcload.server.http.connect import Sockets, connect_to, plain_sockets
from zcload.server.http.connection import SILENCE_S
from zcload.server.http.head import Head, HeadReader, MalformedError
from zcload.server.http.target import AnswerError, Target, Trust

_FIRST_BYTES = 1024  # that the probe asks for: enough to see whether a range is honoured
_HTTP2_BYTES = 16_384
_PATH = re.compile(r"/[!-~]*")  # what may stand in a request line: RFC 9112, 3.2.1
_HOST = re.compile(r"[!-~]+")


NOT_FOUND = 404


class NotFoundError(StudyError):
    """The server has no file at the path that it was asked for."""


def probe(
    address: str,
    port: int,
    *,
    host: str,
    path: str,
    size: int,
    bytes_per_request: int,
    connections: int,
    tls: Trust | None = None,
    http2_window: int | None = None,
    sockets: Sockets = plain_sockets,
) -> Target:
    """Ask the server for the first bytes of the file of *size* bytes and return how it is to be asked; raises StudyError in one line."""
    if not _PATH.fullmatch(path) or not _HOST.fullmatch(host):
        raise StudyError(f"{path!r} at {host!r} cannot be asked for: a path begins with / and has no spaces; write others as %20")
    if size < 1:
        raise StudyError("the file is empty: there is nothing to measure")
    target = Target((address, port), host, path, size, min(bytes_per_request, size), connections, tls=tls, http2_window=http2_window)
    end = min(_FIRST_BYTES, max(1, size // 2))
    what = f"GET {path} from {host}"
    try:
        head, tls_version = _ask(target, end, sockets)
        target = replace(
            target,
            ranges=size > 1 and head.status != 200,
            keep_alive=head.stays_open,
            version=head.version,
            tls_version=tls_version,
            etag=head.fields.get("etag"),
            modified=head.fields.get("last-modified"),
        )
        kind = target.check(head, 0, end if target.ranges else size)
    except MalformedError as error:
        raise StudyError(f"{what}: got {error}") from None
    except AnswerError as error:
        kind_of = NotFoundError if head.status == NOT_FOUND else StudyError
        raise kind_of(f"{what}: answered with {error}") from None
    except TimeoutError:
        raise StudyError(f"{what}: no answer for {SILENCE_S:.0f} s") from None
    except OSError as error:
        raise StudyError(f"{what}: the connection broke: {reason_of(error)}") from None
    if http2_window is not None:  # a body ends with its stream, and the connection stays
        return target
    return replace(target, keep_alive=target.keep_alive and kind != "close", framing=kind)


def _ask(target: Target, end: int, sockets: Sockets) -> tuple[Head, str | None]:
    """Return the head of the answer to a request for the first *end* bytes, and the version of TLS under it.

    Raises StudyError, MalformedError, OSError.
    """
    (sock,) = connect_to(*target.address, 1, sockets)
    tls_version = None
    try:
        if target.tls is not None:
            from zcload.server.http.tls import encrypt, wrapper

            http2 = target.http2_window is not None
            sock = encrypted = encrypt(wrapper(target.tls, http2), sock, target.tls, SILENCE_S)
            tls_version = encrypted.version()
            if http2 and encrypted.selected_alpn_protocol() is None:
                raise StudyError("the server does not offer HTTP/2 (ALPN h2) over TLS: switch it on in the server's files")
        sock.settimeout(SILENCE_S)
        if target.http2_window is not None:
            return _ask_http2(sock, target, end, target.http2_window), tls_version
        sock.sendall(target.request(0, end))
        reader, deadline = HeadReader(), time.monotonic() + SILENCE_S
        while True:
            if time.monotonic() > deadline:
                raise TimeoutError
            data = sock.recv(reader.need())
            if not data:
                raise OSError("it ended " + ("in the middle of the headers" if reader.begun else "before an answer"))
            found = reader.feed(data)
            while found is not None and found[0].interim:
                found = reader.feed(found[1]) if found[1] else None
            if found is not None:
                return found[0], tls_version
    finally:
        sock.close()


def _ask_http2(sock: socket.socket, target: Target, end: int, window: int) -> Head:
    """Return the head of the answer over HTTP/2; raises StudyError, MalformedError, OSError."""
    from zcload.server.http.http2 import Http2Session  # an extra, and slow to import

    session, deadline = Http2Session(window), time.monotonic() + SILENCE_S
    session.request(target.fields(0, end))
    while time.monotonic() < deadline:
        sock.sendall(session.to_send())
        data = sock.recv(_HTTP2_BYTES)
        if not data:
            raise OSError("it ended before an answer: does it speak HTTP/2 on this port?")
        if data.startswith(b"HTTP/1."):
            raise MalformedError("HTTP/1, where HTTP/2 was asked for: switch it on in the server's files")
        if (head := session.feed(data).head) is not None:
            return head
    raise TimeoutError
