"""A CA and a certificate for a cluster on trial, and when a certificate ends.

One certificate serves all: the scheduler, the workers and `zcload run`. Each of these may run programs on every host in any case, so a
certificate for each would protect nothing more. The CA's own key is thrown away: nothing can be added to the cluster later.
"""

from __future__ import annotations

import datetime
import os
from pathlib import Path

from zcload.cluster.dask_client import install_command
from zcload.errors import ConfigError, Problem, reason_of

CA, CERTIFICATE, KEY = "ca.pem", "cert.pem", "key.pem"
LONGEST_DAYS = 825  # what TLS libraries accept of a leaf: CA/Browser Forum Ballot 193
_SKEW = datetime.timedelta(minutes=10)  # the clocks of the hosts may differ by this


def make_keys(directory: Path, days: int) -> datetime.datetime:
    """Write ca.pem, cert.pem and key.pem, valid for *days*, into *directory*, and return when they expire; raises ConfigError.

    Nothing is overwritten: a cluster whose files have half changed cannot be reached.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise ConfigError(
            Problem(f"making certificates needs a package that is not here: {reason_of(error)}", remedy=install_command())
        ) from None

    now = datetime.datetime.now(datetime.UTC)
    until = now + datetime.timedelta(days=days)
    ca_key, own_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "zcload cluster CA")])
    own_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "zcload cluster")])

    def sign(name: x509.Name, key: ec.EllipticCurvePrivateKey, *, is_ca: bool) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(ca_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, until) - _SKEW)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=0 if is_ca else None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        )
        return builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    private = own_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    texts = {CA: sign(ca_name, ca_key, is_ca=True), CERTIFICATE: sign(own_name, own_key, is_ca=False), KEY: private}
    _write(directory, texts)
    return until


def _write(directory: Path, texts: dict[str, bytes]) -> None:
    """Write *texts* by their names into *directory*, readable by their owner alone."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        present = [name for name in texts if (directory / name).exists()]
        if present:
            raise ConfigError(Problem(f"{directory / present[0]} already exists", remedy="name another directory, or remove this one"))
        for name, text in texts.items():
            with open(os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(text)
    except OSError as error:
        raise ConfigError(Problem(f"cannot write into {directory}: {reason_of(error)}")) from None


def expiry(certificate: str | os.PathLike[str]) -> datetime.datetime:
    """Return when the PEM file *certificate* expires; raises ConfigError."""
    try:
        from cryptography import x509
    except ImportError as error:
        raise ConfigError(
            Problem(f"reading certificates needs a package that is not here: {reason_of(error)}", remedy=install_command())
        ) from None
    try:
        return x509.load_pem_x509_certificate(Path(certificate).read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:
        raise ConfigError(Problem(f"is not a certificate: {reason_of(error)}", file=os.fspath(certificate))) from None
