"""A connection between the coordinator and an agent: messages with their length in front, over TCP, with TLS off loopback.

Each end proves that it knows the run's secret, over nonces of both, so that nothing that was overheard can be said again.
While a window is open both ends block in recv(2), or sleep: the connection is silent.
"""

from __future__ import annotations

import hmac
import secrets
import select
import socket
import ssl
import struct
import time

from zcload import __version__
from zcload.cluster.messages import PROTOCOL, Challenge, Hello, Message, Welcome, decode, encode
from zcload.errors import StudyError, reason_of
from zcload.linux import interrupt
from zcload.model.cluster import Cluster

_LENGTH = struct.Struct("!I")
MOST_BYTES = 32 << 20  # of a message: a sample of some thousand processes takes one of these
_MOST_GREETING = 4096  # of a message of somebody who has not proved anything yet
GREETING_S = 10.0
_AT_ONCE = 1 << 16
# A host that is cut off says nothing, not even that it ended: after 5 s of silence TCP asks, and gives up 1 s later (tcp(7)). Windows are
# no longer than that, so that it does not ask in one, unless stop.window says more: then it costs a packet each way in 5 s.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 5), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 3), (socket.TCP_USER_TIMEOUT, 6000))


class ChannelClosed(StudyError):
    """The other end of a connection is gone."""


class OtherVersion(StudyError):
    """An agent that knows the secret of the run is of another version of zcload."""


def frame(message: Message) -> bytes:
    """Return *message* as it goes over a connection."""
    data = encode(message)
    return _LENGTH.pack(len(data)) + data


class Channel:
    """One end of a connection to *peer*, a name for messages."""

    def __init__(self, sock: socket.socket, peer: str) -> None:
        self.sock, self.peer = sock, peer
        self._most, self._read = _MOST_GREETING, b""
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self.sock.fileno()

    def trust(self) -> None:
        """Accept messages of full length from now on."""
        self._most = MOST_BYTES

    def send(self, message: Message) -> None:
        """Send *message*; raises ChannelClosed."""
        self.send_frame(frame(message))

    def send_frame(self, data: bytes) -> None:
        """Send what `frame` returned, which may go to many; raises ChannelClosed."""
        try:
            self.sock.sendall(data)
        except OSError as error:
            raise ChannelClosed(f"{self.peer}: connection lost: {reason_of(error)}") from None

    def receive(self, timeout_s: float | None = None) -> Message:
        """Wait for a message; raises ChannelClosed, StudyError after *timeout_s* (None: never) or for what is no message, Interrupted."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        (length,) = _LENGTH.unpack(self._exactly(_LENGTH.size, deadline))
        if length > self._most:
            raise StudyError(f"{self.peer}: announces a message of {length} bytes, more than {self._most}")
        try:
            return decode(self._exactly(length, deadline))
        except StudyError as error:
            raise StudyError(f"{self.peer}: {error}") from None

    def _exactly(self, count: int, deadline: float | None) -> bytes:
        while len(self._read) < count:
            if deadline is not None:
                self._wait(deadline)
            try:
                # As much as there is: what ends a window is one system call.
                more = self.sock.recv(_AT_ONCE)
            except OSError as error:
                raise ChannelClosed(f"{self.peer}: connection lost: {reason_of(error)}") from None
            if not more:
                raise ChannelClosed(f"{self.peer}: connection closed")
            self._read += more
        data, self._read = self._read[:count], self._read[count:]
        return data

    def _wait(self, deadline: float) -> None:
        """Wait until there is something to read."""
        if isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            return
        poller = select.poll()
        poller.register(self.sock, select.POLLIN)
        while not poller.poll(0):
            interrupt.check_signal()  # no limit of a phase: the rest of the message would be taken for the next one
            left = deadline - time.monotonic()
            if left <= 0:
                raise StudyError(f"{self.peer}: no answer in time")
            interrupt.wait(self.sock.fileno(), left)

    def lost(self) -> bool:
        """Say whether the other end has gone, or the connection has broken, without reading."""
        poller = select.poll()
        poller.register(self.sock, select.POLLRDHUP)
        return bool(poller.poll(0))

    def close(self) -> None:
        """Close the connection; harmless when called twice."""
        self.sock.close()


def _proof(secret: bytes, role: str, *parts: str) -> str:
    return hmac.new(secret, "\0".join((role, *parts)).encode(), "sha256").hexdigest()


def admit(channel: Channel, secret: bytes) -> str:
    """Greet whoever has connected to the coordinator; return the name of the host whose agent it is.

    Raises StudyError: `ChannelClosed`, or with the reason why it is refused.
    """
    nonce = secrets.token_hex(32)
    channel.send(Challenge(nonce))
    hello = channel.receive(GREETING_S)
    if not isinstance(hello, Hello) or not hmac.compare_digest(hello.proof, _proof(secret, "agent", nonce, hello.nonce, hello.host)):
        raise StudyError(f"{channel.peer}: does not know the secret of this run")
    refused = None
    if (hello.zcload_version, hello.protocol) != (__version__, PROTOCOL):
        refused = f"zcload {hello.zcload_version} there, {__version__} here: install the same version on all hosts"
    channel.send(Welcome(_proof(secret, "coordinator", hello.nonce, nonce), refused))
    channel.peer = f"host {hello.host}"
    if refused:
        raise OtherVersion(f"host {hello.host}: {refused}")
    channel.trust()
    return hello.host


def introduce(channel: Channel, secret: bytes, host: str, version: str = __version__) -> None:
    """Introduce the agent of *host* to the coordinator; raises StudyError if that is another, or refuses."""
    challenge = channel.receive(GREETING_S)
    if not isinstance(challenge, Challenge):
        raise StudyError(f"{channel.peer}: is no coordinator of zcload")
    nonce = secrets.token_hex(32)
    channel.send(Hello(host, version, PROTOCOL, nonce, _proof(secret, "agent", challenge.nonce, nonce, host)))
    welcome = channel.receive(GREETING_S)
    if not isinstance(welcome, Welcome) or not hmac.compare_digest(welcome.proof, _proof(secret, "coordinator", nonce, challenge.nonce)):
        raise StudyError(f"{channel.peer}: does not know the secret of this run")
    if welcome.refused:
        raise StudyError(welcome.refused)
    channel.trust()


def server_context(cluster: Cluster) -> ssl.SSLContext | None:
    """Return what the coordinator encrypts with, the files of *cluster*; None where its scheduler is not encrypted.

    Raises StudyError that names the files.
    """
    if not cluster.encrypted or cluster.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(cluster.certificate, cluster.key)
    except OSError as error:
        names = " and ".join(name for name in (cluster.certificate, cluster.key) if name)
        raise StudyError(f"TLS files {names}: {reason_of(error)}") from None
    return context


def agent_context(authority: str) -> ssl.SSLContext:
    """Return what an agent encrypts with: it trusts the CA whose certificate (PEM) the engine has brought, encrypted, from the coordinator.

    The agent proves who it is by the secret, so that the hosts need no certificates of zcload's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # The certificate says who belongs to the cluster, not which address a host has: that differs by network.
    context.check_hostname = False
    context.load_verify_locations(cadata=authority)
    return context
