"""The keys of a cluster: what is written, who may read it, and that TLS accepts it."""

from __future__ import annotations

import datetime
import ssl

import pytest

from zcload.cli.cluster import write_keys
from zcload.cluster import keys
from zcload.cluster.dask_client import tls_context
from zcload.errors import ConfigError
from zcload.model.cluster import Cluster


def cluster(directory, **changed):
    """Return a cluster with the TLS files of *directory*, or those that are *changed*."""
    files = {"ca": directory / "ca.pem", "certificate": directory / "cert.pem", "key": directory / "key.pem"} | changed
    return Cluster("tls://127.0.0.1:1", **{name: str(path) for name, path in files.items()})


def handshake(ours, theirs):
    """Do a TLS handshake in memory between a client and a server of two clusters; raises ssl.SSLError."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(theirs.certificate, theirs.key)
    server.load_verify_locations(theirs.ca)
    server.verify_mode = ssl.CERT_REQUIRED
    a, b = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [tls_context(ours).wrap_bio(a, b), server.wrap_bio(b, a, server_side=True)]
    for _ in range(4):
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                pass
    assert not ends


def test_keys_are_private_and_tls_accepts_them(tmp_path):
    """Three files, readable by their owner alone, with which both ends of a TLS connection accept each other."""
    until = keys.make_keys(tmp_path / "k", days=3)
    assert {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "k").iterdir()} == {
        "ca.pem": 0o600,
        "cert.pem": 0o600,
        "key.pem": 0o600,
    }
    handshake(cluster(tmp_path / "k"), cluster(tmp_path / "k"))
    assert keys.expiry(tmp_path / "k" / "cert.pem") == until.replace(microsecond=0)
    assert until - datetime.datetime.now(datetime.UTC) > datetime.timedelta(days=2, hours=23)


def test_keys_of_another_call_are_refused(tmp_path):
    """A certificate of another CA fails the handshake."""
    for name in ("a", "b"):
        keys.make_keys(tmp_path / name, days=1)
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        handshake(cluster(tmp_path / "a"), cluster(tmp_path / "b"))


def test_expired_keys_are_refused(tmp_path):
    """A certificate whose time is over fails the handshake and says so."""
    keys.make_keys(tmp_path / "k", days=-1)
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate has expired"):
        handshake(cluster(tmp_path / "k"), cluster(tmp_path / "k"))


def test_nothing_is_overwritten(tmp_path):
    """Keys that are there stay as they are, and the error says what to do."""
    keys.make_keys(tmp_path, days=1)
    before = (tmp_path / "key.pem").read_bytes()
    with pytest.raises(ConfigError, match=r"ca\.pem already exists \(name another directory"):
        keys.make_keys(tmp_path, days=1)
    assert (tmp_path / "key.pem").read_bytes() == before


@pytest.mark.parametrize(
    ("changed", "key", "says"),
    [
        ({"ca": "absent.pem"}, "cluster.tls_ca", "no such file or directory"),
        ({"key": "absent.pem"}, "cluster.tls_key", "no such file or directory"),
        ({"certificate": "text.pem"}, "cluster.tls_cert", "text.pem is not what TLS needs"),
        ({"ca": "text.pem"}, "cluster.tls_ca", "text.pem is not what TLS needs"),
        ({"key": "other/key.pem"}, "cluster.tls_cert", "KEY_VALUES_MISMATCH"),
    ],
)
def test_a_file_that_tls_cannot_use_is_named(changed, key, says, tmp_path, monkeypatch):
    """Each of the three files that is missing, no PEM or of another pair is an error with its key in the config."""
    monkeypatch.chdir(tmp_path)
    keys.make_keys(tmp_path / "k", days=1)
    keys.make_keys(tmp_path / "other", days=1)
    (tmp_path / "text.pem").write_text("text\n")
    with pytest.raises(ConfigError) as refused:
        tls_context(cluster(tmp_path / "k", **changed))
    (problem,) = refused.value.problems
    assert problem.key == key
    assert says in problem.what
    if "absent" in str(changed):
        assert "`zcload cluster keys`" in problem.remedy
    with pytest.raises(ConfigError, match="is not a certificate"):
        keys.expiry(tmp_path / "text.pem")


@pytest.mark.parametrize("copied", [False, True])
def test_whoever_copies_the_keys_is_told_so(tmp_path, capsys, copied):
    """`cluster keys` says how to copy the files; `cluster up`, which copies them itself, does not."""
    write_keys(tmp_path / "keys", 1, copied=copied)
    out = capsys.readouterr().out
    assert "wrote ca.pem, cert.pem and key.pem" in out
    assert ("scp -r" in out) != copied
