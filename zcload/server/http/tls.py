"""TLS connections of the receivers, by the ssl module, with the interface of plain sockets."""

from __future__ import annotations

import socket
import ssl
from typing import Any

from zcload.errors import StudyError, reason_of
from zcload.linux.certificate import Trust

ALPN = "h2"  # what HTTP/2 over TLS is called in a handshake: RFC 9113, 3.2


class TlsSocket(ssl.SSLSocket):
    """A TLS connection that raises what a plain non-blocking one does, and fills a buffer from as many records as have arrived."""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen)
        except ssl.SSLWantReadError:
            raise BlockingIOError from None
        except ssl.SSLError as error:
            raise _broken(error) from None

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        view = memoryview(buffer)[: nbytes or None]
        got = 0
        while got < len(view):
            try:
                more = super().recv_into(view[got:])
            except ssl.SSLWantReadError:
                if got:
                    return got
                raise BlockingIOError from None
            except ssl.SSLError as error:
                raise _broken(error) from None
            if not more:  # the end: said again by the next call
                break
            got += more
        return got


def wrapper(trust: Trust, http2: bool = False) -> ssl.SSLContext:
    """Return a context that trusts the certificates of *trust* and no others, and with *http2* offers that alone; raises StudyError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if http2:
        context.set_alpn_protocols([ALPN])
    context.sslsocket_class = TlsSocket
    try:
        context.load_verify_locations(cafile=trust.certificate)
    except (OSError, ssl.SSLError) as error:
        raise StudyError(f"the certificate {trust.certificate} cannot be read: {error}") from None
    return context


def encrypt(context: ssl.SSLContext, sock: socket.socket, trust: Trust, timeout_s: float) -> TlsSocket:
    """Shake hands over the connected *sock* and return the connection, not blocking; raises StudyError."""
    sock.settimeout(timeout_s)
    try:
        wrapped = context.wrap_socket(sock, server_hostname=trust.host)
    except ssl.SSLCertVerificationError as error:
        raise StudyError(f"the server shows another certificate than {trust.certificate}: {error.verify_message}") from None
    except TimeoutError:
        raise StudyError(f"no TLS handshake within {timeout_s:.0f} s: is it an https port?") from None
    except OSError as error:
        raise StudyError(f"no TLS handshake: {reason_of(error)}") from None
    wrapped.setblocking(False)
    assert isinstance(wrapped, TlsSocket)
    return wrapped


def _broken(error: ssl.SSLError) -> ConnectionError:
    return ConnectionError(0, f"TLS: {error.reason or error}")
