"""One HTTP/2 connection (RFC 9113) by the h2 library: one request at a time, the payload straight from DATA frames.

A server may send as much as the receiver's flow control windows allow, for the stream and for the connection (RFC 9113, 5.2): both have the
size that the study sets. Other streams, pushes and priorities are not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, Event, ResponseReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import Frame, GoAwayFrame

from zcload.server.http.head import Head, MalformedError

VERSION = "HTTP/2"
_INITIAL_WINDOW = 65_535  # of a connection, whatever the settings say: RFC 9113, 6.9.2


@dataclass(slots=True)
class Arrived:
    """What some bytes brought for the request under way: the head, payload, whether the answer is whole."""

    head: Head | None = None
    payload: list[bytes] = field(default_factory=list)
    whole: bool = False


class _GracefulConnection(H2Connection):
    """One that goes on after a GOAWAY without an error: what was asked for before is still answered (RFC 9113, 6.8).

    The library takes any GOAWAY for the end and refuses the frames that follow. nginx sends one before the last answer of
    `keepalive_requests`, which is 1000 unless its config says otherwise.
    """

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        found = super()._receive_goaway_frame(frame)
        if not frame.error_code:
            self.state_machine.state = ConnectionState.CLIENT_OPEN
        return found


class Http2Session:
    """A connection with flow control windows of *window* bytes. It touches no socket: the caller sends what `to_send` returns."""

    def __init__(self, window: int) -> None:
        self._h2 = _GracefulConnection(H2Configuration(client_side=True, header_encoding=None))
        self._h2.local_settings = Settings(
            client=True, initial_values={SettingCodes.ENABLE_PUSH: 0, SettingCodes.INITIAL_WINDOW_SIZE: window}
        )
        self._h2.initiate_connection()
        if window > _INITIAL_WINDOW:
            self._h2.increment_flow_control_window(window - _INITIAL_WINDOW)
        self._stream = 0
        self.going_away = False  # whether the server takes no further request on this connection

    def request(self, fields: list[tuple[str, str]]) -> None:
        """Begin a request with the header *fields*, pseudo-header fields first."""
        self._stream = self._h2.get_next_available_stream_id()
        self._h2.send_headers(self._stream, fields, end_stream=True)

    def feed(self, data: bytes) -> Arrived:
        """Take what came from the socket; raises MalformedError if it is not HTTP/2 or the server reset the stream."""
        found = Arrived()
        try:
            for event in self._h2.receive_data(data):
                if isinstance(event, DataReceived):
                    self._h2.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
                    found.payload.append(event.data or b"")
                elif isinstance(event, ResponseReceived):
                    found.head = _head(event.headers or [])
                elif isinstance(event, StreamEnded):
                    found.whole = event.stream_id == self._stream
                elif isinstance(event, StreamReset):
                    raise MalformedError(f"a reset of the stream: {_name(event.error_code)}")
                elif isinstance(event, ConnectionTerminated):
                    if event.error_code:
                        raise MalformedError(f"the end of the connection (GOAWAY): {_name(event.error_code)}")
                    self.going_away = True
        except ProtocolError as error:
            raise MalformedError(f"what is no HTTP/2: {str(error) or type(error).__name__}") from None
        return found

    def to_send(self) -> bytes:
        """Return what the socket is to send now: the preface, requests, window updates, answers to pings."""
        return self._h2.data_to_send()


def _head(fields: Iterable[Sequence[bytes]]) -> Head:
    joined: dict[str, str] = {}
    for field_ in fields:
        name, value = (part.decode("latin-1") for part in field_)
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    status = joined.pop(":status", "")
    if not status.isascii() or not status.isdigit():
        raise MalformedError(f"the status {status[:20]!r}")
    return Head(VERSION, int(status), "", joined)


def _name(code: ErrorCodes | int | None) -> str:
    return code.name if isinstance(code, ErrorCodes) else f"error code {code}"
