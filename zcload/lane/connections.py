"""Make the connections of a lane before its workers are forked: authenticated, and with the same socket options.

Another program that connects meanwhile does not know the secret: its connection is rejected and counted, never measured.
"""

from __future__ import annotations

import hmac
import secrets
import selectors
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from zcload.errors import ConfigError, Problem, StudyError, os_error, reason_of
from zcload.lane.network import Network, family_of
from zcload.linux import interrupt
from zcload.linux.patience import Patience
from zcload.linux.sockets import ACCEPT_AGAIN
from zcload.model.study import Point

_GREETING = struct.Struct("=32sI")  # the secret of this set of connections, and the connection's number
_TIMEOUT_S = 10.0
_PORTION = 64
MOST_SILENT = 512  # connections without a greeting yet; ours send it at once


@dataclass(frozen=True, slots=True)
class Connections:
    """Connected pairs: *clients[i]* is the sender's end of connection i and *servers[i]* the receiver's."""

    clients: tuple[socket.socket, ...]
    servers: tuple[socket.socket, ...]
    unauthenticated: int

    def close(self) -> None:
        """Close the coordinator's copies of all ends."""
        for sock in (*self.clients, *self.servers):
            sock.close()


def listen(point: Point, congestion: str | None, backlog: int, network: Network) -> socket.socket:
    """Return a socket of *network* that listens at its address with the point's socket options; raises ConfigError."""
    try:
        (sock,) = network.sockets("receiver", family_of(network.address), 1)
    except OSError as error:
        raise _refused(network.address, point.port, error) from None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the port's earlier connections may still be in TIME_WAIT
        prepare(sock, point, congestion)  # before listen: the window scale is agreed with the first packet
        sock.bind((network.address, point.port))
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise _refused(network.address, point.port, error) from None
    return sock


def _refused(address: str, port: int, error: OSError) -> ConfigError:
    """Say why the address or port could not be had."""
    import errno

    if error.errno == errno.EADDRINUSE:
        return ConfigError(Problem(f"port {port} is in use on {address}", key="workload.port", remedy="port = 0 takes any free one"))
    if error.errno == errno.EADDRNOTAVAIL:
        return ConfigError(
            Problem(f"{address} is not an address of this machine", key="workload.address", remedy="see `ip address`, or use 127.0.0.1")
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return ConfigError(
            Problem(f"port {port} needs privileges ({reason_of(error)})", key="workload.port", remedy="choose a port above 1023, or 0")
        )
    return ConfigError(Problem(f"cannot listen on {address} port {port}: {reason_of(error)}", key="workload.address"))


def prepare(sock: socket.socket, point: Point, congestion: str | None) -> None:
    """Set the options that all lanes share. SO_RCVLOWAT is never set: it changes wake-ups, and with them the result."""
    if point.transfer == "per-file":
        # The end of a small file must not wait for an acknowledgement (RFC 896); file servers switch that off, and so do all lanes here.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if point.socket_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, point.socket_buffer)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, point.socket_buffer)
    if congestion is not None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())


def connect(point: Point, count: int, congestion: str | None, network: Network | None = None) -> Connections:
    """Make *count* connections over *network* (None: the coordinator's own) to its address; raises ConfigError, StudyError, Interrupted."""
    network = network or Network(point.address)
    secret = secrets.token_bytes(32)
    listener = listen(point, congestion, min(count + 16, 4096), network)
    clients: list[socket.socket] = []
    servers: dict[int, socket.socket] = {}
    unauthenticated = 0
    try:
        where = listener.getsockname()
        # In portions, so that the queue of the listener is never full of our own.
        for start in range(0, count, _PORTION):
            portion = {}
            clients += network.sockets("sender", listener.family, min(_PORTION, count - start))
            for number, client in enumerate(clients[start:], start):
                prepare(client, point, congestion)
                client.setblocking(False)
                client.connect_ex(where)  # in progress: what became of it shows when it is writable
                portion[client] = _GREETING.pack(secret, number)
            unauthenticated += _meet(listener, portion, secret, servers, len(servers) + len(portion))
        for client in clients:
            client.setblocking(True)
        return Connections(tuple(clients), tuple(servers[number] for number in range(count)), unauthenticated)
    except OSError as error:
        for sock in (*clients, *servers.values()):
            sock.close()
        raise StudyError(f"cannot connect to {network.address}: {reason_of(error)}") from None
    except BaseException:
        for sock in (*clients, *servers.values()):
            sock.close()
        raise
    finally:
        listener.close()


def accept(listener: socket.socket, secret: bytes, count: int) -> tuple[dict[int, socket.socket], int]:
    """Accept *count* connections that another host makes with `reach`; return them by number, and how many others came.

    Raises StudyError, Interrupted. The listener stays open.
    """
    servers: dict[int, socket.socket] = {}
    try:
        return servers, _meet(listener, {}, secret, servers, count)
    except BaseException:
        for sock in servers.values():
            sock.close()
        raise


def reach(address: str, port: int, numbers: Sequence[int], secret: bytes, point: Point, congestion: str | None) -> list[socket.socket]:
    """Make the connections *numbers* to another host that accepts them; raises StudyError that names the address, OSError."""
    family, made = family_of(address), []
    try:
        for number in numbers:
            sock = socket.socket(family, socket.SOCK_STREAM)
            made.append(sock)
            prepare(sock, point, congestion)
            sock.settimeout(_TIMEOUT_S)
            sock.connect((address, port))
            sock.sendall(_GREETING.pack(secret, number))
            sock.settimeout(None)
    except OSError as error:
        for sock in made:
            sock.close()
        raise StudyError(f"cannot connect to {address} port {port}: {reason_of(error)}") from None
    return made


def _meet(
    listener: socket.socket, portion: dict[socket.socket, bytes], secret: bytes, servers: dict[int, socket.socket], wanted: int
) -> int:
    """Finish the connections of *portion* (client: its greeting), add authenticated ends to *servers* until there are *wanted*.

    Return how many others came.

    Connecting, accepting and listening to greetings go on at the same time, so that others can neither fill the listener's
    queue nor hold anybody up by saying nothing.
    """
    unauthenticated = 0
    patience = Patience(_TIMEOUT_S)
    greetings: dict[socket.socket, bytes] = {}
    listener.setblocking(False)
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        for client in portion:
            selector.register(client, selectors.EVENT_WRITE)
        try:
            while len(servers) < wanted:
                interrupt.check()
                if patience.over():
                    raise StudyError(f"only {len(servers)} of {wanted} connections were accepted within {_TIMEOUT_S:.0f} s")
                for key, _ in selector.select(0.1):
                    sock = key.fileobj
                    assert isinstance(sock, socket.socket)
                    if sock is listener:
                        unauthenticated += _accept(listener, greetings, selector)
                    elif sock in portion:
                        selector.unregister(sock)
                        error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                        if error:
                            raise os_error(error)
                        sock.sendall(portion[sock])  # 36 bytes into an empty buffer: they fit
                    else:
                        verdict = _listen_to(sock, greetings, secret)
                        if verdict is None:
                            continue
                        selector.unregister(sock)
                        if verdict < 0 or verdict in servers:
                            unauthenticated += 1
                            sock.close()
                        else:
                            sock.setblocking(True)
                            servers[verdict] = sock
        finally:
            for sock in greetings:
                sock.close()
    return unauthenticated + len(greetings)


def _accept(listener: socket.socket, greetings: dict[socket.socket, bytes], selector: selectors.BaseSelector) -> int:
    """Accept the connections that wait; their greetings show which are ours. Return how many had to leave that said nothing for longest."""
    refused = 0
    for _ in range(MOST_SILENT):  # then the others are looked at again: connections may come faster than they are accepted
        try:
            accepted, _ = listener.accept()
        except OSError as error:
            if error.errno not in ACCEPT_AGAIN:
                raise
            break
        if len(greetings) >= MOST_SILENT:
            oldest = next(iter(greetings))
            del greetings[oldest]
            selector.unregister(oldest)
            oldest.close()
            refused += 1
        accepted.setblocking(False)
        greetings[accepted] = b""
        selector.register(accepted, selectors.EVENT_READ)
    return refused


def _listen_to(sock: socket.socket, greetings: dict[socket.socket, bytes], secret: bytes) -> int | None:
    """Read on in a greeting: return None while it is incomplete, the connection's number when it is right, -1 when it is not."""
    try:
        more = sock.recv(_GREETING.size - len(greetings[sock]))
    except OSError:
        more = b""
    greetings[sock] += more
    if more and len(greetings[sock]) < _GREETING.size:
        return None
    heard = greetings.pop(sock)
    if len(heard) < _GREETING.size:
        return -1
    token, number = _GREETING.unpack(heard)
    return int(number) if hmac.compare_digest(token, secret) else -1


def choose_congestion(wanted: str) -> tuple[str | None, str]:
    """Return (value to set, value in effect): for "auto" cubic if permitted, else reno, else None with the system's.

    Raises ConfigError, StudyError.
    """
    try:
        probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        raise StudyError(f"the congestion control cannot be read: no socket: {reason_of(error)}") from None
    with probe as sock:
        for name in ("cubic", "reno") if wanted == "auto" else (wanted,):
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
            except OSError as error:
                if wanted != "auto":
                    raise ConfigError(
                        Problem(
                            f"congestion control {wanted!r} cannot be set: {reason_of(error)}",
                            key="workload.congestion",
                            remedy='see net.ipv4.tcp_available_congestion_control and tcp_allowed_congestion_control, or use "auto"',
                        )
                    ) from None
                continue
            return name, name
        system = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).split(b"\0")[0].decode()
        return None, system
