"""What a study cannot have between hosts is refused by its key, and everything else is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.paths import ROOT

from zcload import config
from zcload.errors import ConfigError
from zcload.mechanisms import MECHANISMS, RELAYS
from zcload.model.cluster import Cluster
from zcload.runner import preflight
from zcload.runner.cluster_refusals import REFUSALS, refuse
from zcload.runner.run import run

CLUSTER = Cluster("tcp://127.0.0.1:1")
OWN = """
from zcload.mechanisms.base import Mechanism

class Own(Mechanism):
    name = "own"
    summary = "send"
    calls = ("send",)

    def send(self, offset, count):
        self.counts[0] += 1
        return self.sock.send(bytes(count))
"""

# For each refusal, in order: what of a config is refused.
ASKS = [
    {"workload": {"cache": ["warm", "cold"], "dir": "."}},
    {"workload": {"transfer": "per-file", "transfer_size": "16KiB"}},
    {"variants": ["read_send", {"name": "web", "kind": "server", "command": ["true"], "over": "read_send"}]},
    {"variants": ["relay_read_send", "relay_splice"], "baseline": "relay_read_send"},
    None,  # a mechanism of one's own: a test below
    {"variants": ["read_send", "tls_send"]},
]


def study_of(variants=("read_send", "sendfile"), baseline="read_send", workload=None, **sections):
    """Return a study with a cluster."""
    names = [each if isinstance(each, str) else each["name"] for each in variants]
    tables = [each for each in variants if not isinstance(each, str)]
    tree = {
        "study": {
            "name": "x",
            "baseline": baseline,
            "variants": [n for n in names if n not in {t["name"] for t in tables}],
            "best_chunk": False,
        },
        "workload": {"file_size": "4MiB", **(workload or {})},
        **({"variant": tables} if tables else {}),
        **sections,
    }
    return replace(config.from_tree(tree), cluster=CLUSTER)


class NoEngine:
    """An engine that must not be asked for anything but to close."""

    def close(self):
        pass


@pytest.mark.parametrize(("refusal", "asks"), [pair for pair in zip(REFUSALS, ASKS, strict=True) if pair[1]], ids=lambda value: None)
def test_what_works_on_one_machine_only_is_refused(refusal, asks, tmp_path, monkeypatch):
    """Each refusal is one line with the key, the reason and the remedy, before the engine is asked for anything and without a result."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        run(study_of(**asks), tmp_path / "r", engine=NoEngine())
    problem = caught.value.problems[0]
    assert str(problem.key).startswith(refusal.key.partition("{")[0])
    assert str(problem.key).endswith(refusal.key.rpartition("}")[2])
    assert problem.what.startswith("does not work with [cluster]: ")
    assert refusal.reason.rpartition("}")[2] in problem.what
    assert problem.remedy == refusal.remedy
    assert "\n" not in problem.what
    assert not (tmp_path / "r").exists()


def test_a_mechanism_of_ones_own_is_refused(tmp_path):
    """A mechanism in a file of this host is refused: the other hosts do not have the file."""
    (tmp_path / "own.py").write_text(OWN)
    study = study_of(variants=["read_send", {"name": "own", "mechanism": f"{tmp_path}/own.py:Own"}])
    with pytest.raises(ConfigError, match="code of this machine"):
        refuse(study)


@pytest.mark.parametrize("name", [*MECHANISMS, *RELAYS])
def test_every_mechanism_runs_or_is_refused_by_name(name):
    """A mechanism that wraps or prepares both ends of a connection, or is a relay, is refused by name; any other is not."""
    baseline = "relay_read_send" if name in RELAYS else "read_send"
    study = study_of(variants=dict.fromkeys((baseline, name)), baseline=baseline)
    if name not in RELAYS and name not in {"tls_send", "ktls_send", "ktls_sendfile", "asyncio_sendfile", "asyncio_write"}:
        refuse(study)
        return
    with pytest.raises(ConfigError, match=f"does not work with .cluster.: {name} "):
        refuse(study)


@pytest.mark.parametrize(
    "asks",
    [
        {"workload": {"rate": ["max", "1Gbit/s"]}, "stop": {"max_time": "60s"}},
        {"workload": {"chunk": ["64KiB", "256KiB"], "senders": [1, 2]}},
        {"workload": {"file_size": "4MiB"}, "crossover": {"sweep": "chunk", "low": "4KiB", "high": "64KiB"}},
        {"workload": {"socket_buffer": "auto", "placement": "same"}},
    ],
    ids=["rate", "sweep", "crossover", "options"],
)
def test_what_works_between_hosts_is_not_refused(asks):
    """Rates, sweeps, crossovers and socket options are not refused."""
    refuse(preflight.resolve(study_of(**asks)))


def test_shipped_configs_of_clusters_are_not_refused():
    """Every config of configs/cluster can run between hosts."""
    for path in sorted((ROOT / "configs" / "cluster").glob("*.toml")):
        refuse(config.load(path))
