"""Connect to a Dask scheduler: over TLS off loopback, with errors that say what is wrong with the address or the certificates."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import shlex
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from zcload.cluster.quiet_settings import quiet_settings
from zcload.errors import ConfigError, Problem, StudyError, reason_of
from zcload.model.cluster import Cluster, is_loopback, scheduler_host

if TYPE_CHECKING:
    from distributed import Client

TIMEOUT_S = 10.0
Answer = TypeVar("Answer")


def install_command() -> str:
    """Return the command that installs what the extra `cluster` needs, wherever zcload itself came from."""
    needs = (line.partition(";") for line in importlib.metadata.requires("zcload") or ())
    return f"pip install {shlex.join(sorted(need.strip() for need, _, marker in needs if 'cluster' in marker))}"


def check_installed() -> None:
    """Raise ConfigError if the extra that holds the engine is not installed here."""
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        what = f"a cluster needs the Python package distributed, which is not installed here: {reason_of(error)}"
        raise ConfigError(Problem(what, remedy=install_command())) from None


@contextmanager
def quiet_log() -> Iterator[None]:
    """Within the block Dask's client logs only what is critical: it logs tracebacks of what zcload says in one line. May be nested."""
    logger = logging.getLogger("distributed.client")

    def is_critical(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.CRITICAL

    logger.addFilter(is_critical)
    try:
        yield
    finally:
        logger.removeFilter(is_critical)


def connect(cluster: Cluster) -> Client:
    """Return a client of the scheduler of *cluster*; raises ConfigError, or StudyError that names the scheduler."""
    check_installed()
    _check_encryption(cluster)
    _check_reach(cluster)
    import dask
    from distributed import Client, Security

    security = None
    if cluster.encrypted:
        security = Security(
            tls_ca_file=cluster.ca, tls_client_cert=cluster.certificate, tls_client_key=cluster.key, require_encryption=True
        )
    # Quiet here too: this host may be measured. The client asks for the workers when it needs them, not every 2 s.
    own = {"distributed.client.heartbeat": "30s", "distributed.client.scheduler-info-interval": "60s"}
    with dask.config.set({**quiet_settings(), **own}):
        try:
            return Client(cluster.scheduler, security=security, timeout=TIMEOUT_S, set_as_default=False, name="zcload")
        except (OSError, ValueError, RuntimeError) as error:  # Dask's own errors of a connection are all of these
            raise StudyError(f"scheduler {cluster.scheduler}: {_plain(error)}") from None


def _check_encryption(cluster: Cluster) -> None:
    """Raise ConfigError for a scheduler that whoever reaches it could use to run programs."""
    if not cluster.encrypted and not cluster.insecure and not is_loopback(scheduler_host(cluster.scheduler)):
        what = f"{cluster.scheduler} is not encrypted: whoever reaches this port can run programs on every host"
        raise ConfigError(Problem(what, remedy="use tls://, with `zcload cluster keys`; or --insecure on a network you trust"))


def _check_reach(cluster: Cluster) -> None:
    """Connect once as a client of the scheduler does, to say of each thing that can be wrong what it is."""
    parts = urlsplit(cluster.scheduler)
    place, where = f"scheduler {cluster.scheduler}", (parts.hostname or "", parts.port or 0)
    context = tls_context(cluster) if cluster.encrypted else None
    try:
        plain = socket.create_connection(where, timeout=TIMEOUT_S)
    except OSError as error:
        remedy = "is it running? `dask scheduler` as in docs/cluster.md"
        raise StudyError(f"{place}: cannot connect: {reason_of(error)} ({remedy})") from None
    with plain:
        if context is None:
            return
        try:
            with context.wrap_socket(plain, server_hostname=where[0]) as wrapped:
                # With TLS 1.3 a server refuses a client's certificate only after the client's handshake: in the first bytes it sends.
                wrapped.settimeout(TIMEOUT_S)
                if not wrapped.recv(1):
                    raise StudyError(f"{place}: it closed the connection: it does not accept {cluster.certificate}")
        except ssl.SSLCertVerificationError as error:
            remedy = _renewed() if "expired" in error.verify_message else f"the CA in {cluster.ca} must be the one that signed it"
            raise StudyError(f"{place}: its certificate is refused here: {error.verify_message} ({remedy})") from None
        except ssl.SSLError as error:
            raise StudyError(f"{place}: {_tls_reason(error, cluster)}") from None
        except OSError as error:
            raise StudyError(f"{place}: no answer over TLS: {reason_of(error)} (does it speak tcp://?)") from None


def tls_context(cluster: Cluster) -> ssl.SSLContext:
    """Return a context with the TLS files of *cluster* that trusts only its CA; raises ConfigError that names the file and the remedy.

    Host names are not checked, as Dask does not: every certificate of the cluster's own CA belongs to the cluster.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    files = {"cluster.tls_ca": cluster.ca, "cluster.tls_cert": cluster.certificate, "cluster.tls_key": cluster.key}
    for key, path in files.items():
        _checked(key, path or "", lambda name: open(name, "rb").close())
    _checked("cluster.tls_ca", cluster.ca or "", lambda name: context.load_verify_locations(name))
    _checked("cluster.tls_cert", cluster.certificate or "", lambda name: context.load_cert_chain(name, cluster.key))
    return context


def _checked(key: str, path: str, read: Callable[[str], Answer]) -> Answer:
    remedy = "`zcload cluster keys` makes a CA, a certificate and a key; copy the directory to every host"
    try:
        return read(path)
    except ssl.SSLError as error:
        raise ConfigError(Problem(f"{path} is not what TLS needs: {_tls_words(error)}", key=key, remedy=remedy)) from None
    except OSError as error:
        absent = isinstance(error, FileNotFoundError)
        what = f"{os.path.abspath(path)}: {reason_of(error)}"
        raise ConfigError(Problem(what, key=key, remedy=remedy if absent else None)) from None


def _tls_reason(error: ssl.SSLError, cluster: Cluster) -> str:
    words = _tls_words(error)
    if "CERTIFICATE_EXPIRED" in words:
        return f"it refuses {cluster.certificate}, which has expired ({_renewed()})"
    if any(sign in words for sign in ("UNKNOWN_CA", "BAD_CERTIFICATE", "CERTIFICATE_REQUIRED", "CERTIFICATE_UNKNOWN", "DECRYPT_ERROR")):
        return f"it refuses {cluster.certificate}: another CA signed it (take ca.pem, cert.pem and key.pem from one `zcload cluster keys`)"
    return f"TLS failed: {words} (does it speak tcp://?)"


def _renewed() -> str:
    return "`zcload cluster keys` makes new ones; copy them to every host and start the scheduler and the workers again"


def _tls_words(error: ssl.SSLError) -> str:
    return error.reason or reason_of(error)


def _plain(error: Exception) -> str:
    """Return the first line of what Dask says: it appends the whole chain of causes."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
