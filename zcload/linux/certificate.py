"""Make a self-signed certificate for one run and one name or address, which only the receivers trust.

The standard library speaks TLS but cannot make a certificate; the openssl command can.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from zcload.errors import StudyError

CERTIFICATE, KEY = "certificate.pem", "key.pem"
_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Trust:
    """How an https server is known: by the name *host* and by the certificates in the file *certificate*, no others."""

    host: str
    certificate: str


def no_openssl() -> tuple[str, str] | None:
    """Return why no certificate can be made here, and the remedy; None if one can."""
    if shutil.which("openssl") is not None:
        return None
    return "tls needs a certificate, and there is no openssl command to make one with", "apt-get install openssl"


def make_certificate(directory: Path, address: str) -> Trust:
    """Write certificate.pem and key.pem for *address*, a numeric address or a name, into *directory*; raises StudyError.

    An EC key on P-256: made in milliseconds, and its handshake costs the server least. The bytes of a transfer do not depend on it.
    """
    if (absent := no_openssl()) is not None:
        raise StudyError(": ".join(absent))
    try:
        name = f"IP:{ipaddress.ip_address(address)}"
    except ValueError:
        name = f"DNS:{address}"
    certificate, key = directory / CERTIFICATE, directory / KEY
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256", "-days", "2"]
    command += ["-subj", "/CN=zcload", "-addext", f"subjectAltName={name}", "-out", str(certificate), "-keyout", str(key)]
    environment = {**os.environ, "OPENSSL_CONF": os.devnull}  # the system's settings are for other certificates
    try:
        subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=_TIMEOUT_S, env=environment)
    except subprocess.CalledProcessError as error:
        words = error.stderr.decode(errors="replace").strip().splitlines()
        raise StudyError(f"openssl could not make a certificate: {words[-1][:200] if words else f'status {error.returncode}'}") from None
    except subprocess.TimeoutExpired:
        raise StudyError(f"openssl did not make a certificate within {_TIMEOUT_S:.0f} s") from None
    return Trust(address, str(certificate))
