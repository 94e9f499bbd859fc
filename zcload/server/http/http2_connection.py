"""A connection of a receiver that speaks HTTP/2: the library takes the payload out of its frames, so no sink sees the socket."""

from __future__ import annotations

from zcload.server.http.connection import HEAD_RECV, REQUEST_SEND, SILENCE_S, Connection
from zcload.server.http.head import MalformedError
from zcload.server.http.http2 import Http2Session
from zcload.server.http.target import AnswerError

_RECEIVE_BYTES = 256 << 10


class Http2Connection(Connection):
    """Request one range at a time, each on a new stream; `left` stays 0, so all is read by `listen`."""

    _session: Http2Session | None = None

    def _send(self) -> None:
        assert self.sock is not None
        window = self.target.http2_window
        assert window is not None
        if self._session is None:
            self._session = Http2Session(window)
        self._session.request(self.target.fields(*self.span))
        try:
            self._flush(self._session)
        except OSError as error:
            self._lost(error)

    def _flush(self, session: Http2Session) -> None:
        """Send what the library has to send, most often nothing."""
        if data := session.to_send():
            assert self.sock is not None
            self.counts[REQUEST_SEND] += 1
            self.sock.sendall(data)

    def listen(self) -> bytes:
        assert self.sock is not None
        assert self._session is not None
        self.counts[HEAD_RECV] += 1
        try:
            data = self.sock.recv(_RECEIVE_BYTES, self._flags) if self._flags else self.sock.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            if self.waits:
                raise self.wrong(f"no byte for {SILENCE_S:.0f} s, {self._expected()}") from None
            raise
        except ConnectionError as error:
            self._lost(error)
            return b""
        if not data:
            self.ended()
            return b""
        try:
            return self._take(data)
        except (MalformedError, AnswerError) as error:
            raise self.wrong(f"got {error}" if isinstance(error, MalformedError) else f"answered with {error}") from None

    def _take(self, data: bytes) -> bytes:
        session = self._session
        assert session is not None
        found = session.feed(data)
        if found.head is not None:
            self._waited = True
            self.target.check(found.head, *self.span)
            self._kind = "length"
        payload = b"".join(found.payload)
        self.taken += len(payload)
        whole = self.span[1] - self.span[0]
        if self.taken > whole or (found.whole and self.taken < whole):
            raise AnswerError(f"a body of {self.taken} bytes, expected {whole}")
        try:
            self._flush(session)
        except ConnectionError as error:
            self._lost(error)
        if found.whole:
            self._open_after = not session.going_away
            self._finish()
        elif self.idle and session.going_away:
            self.close()
        return payload

    def close(self) -> None:
        super().close()
        self._session = None
