"""The cluster section: what it means, with its defaults, and what its records say."""

from __future__ import annotations

import json

import pytest

from zcload import config
from zcload.errors import ConfigError
from zcload.model.cluster import Cluster, HostChoice

STUDY = '[study]\nname = "s"\nbaseline = "read_send"\nvariants = ["read_send"]\n'
FULL = """
[cluster]
scheduler = "tls://10.0.0.1"
senders = ["tx-1", "tx-2"]
receivers = "sink=2"
control = "10.0.0.9"
pattern = "mesh"
address = {tx-1 = "eth1", tx-2 = "10.0.0.7/24"}
swap = false
tls_ca = "a.pem"
tls_cert = "b.pem"
tls_key = "c.pem"
"""


def test_without_the_section_a_study_runs_on_one_machine():
    """A config without a cluster section has no cluster, and its effective config no such section."""
    study = config.loads(STUDY)
    assert study.cluster is None
    assert "cluster" not in study.config


def test_defaults_are_all_workers_of_each_role_over_tls():
    """The scheduler alone is enough: all workers of each role, in pairs, with the files that `zcload cluster keys` writes."""
    cluster = config.loads(STUDY, overrides=["cluster.scheduler=tls://lab.example:9000"]).cluster
    assert cluster == Cluster(
        scheduler="tls://lab.example:9000",
        senders=HostChoice(resource="sender"),
        receivers=HostChoice(resource="receiver"),
        ca="zcload-keys/ca.pem",
        certificate="zcload-keys/cert.pem",
        key="zcload-keys/key.pem",
    )


def test_every_key_arrives_and_the_effective_config_gives_it_again():
    """Each key of the section is found where the study has it, and what a result stores gives the equal study."""
    study = config.loads(STUDY + FULL)
    assert study.cluster == Cluster(
        scheduler="tls://10.0.0.1:8786",
        senders=HostChoice(names=("tx-1", "tx-2")),
        receivers=HostChoice(resource="sink", count=2),
        pattern="mesh",
        addresses={"tx-1": "eth1", "tx-2": "10.0.0.0/24"},
        control="10.0.0.9",
        swap="never",
        ca="a.pem",
        certificate="b.pem",
        key="c.pem",
    )
    assert config.from_tree(json.loads(json.dumps(study.config))) == study
    assert study.config["cluster"].keys() == config.json_schema()["$defs"]["ClusterSection"]["properties"].keys()


def test_a_network_is_of_one_worker_or_of_all():
    """An interface or subnet is looked up by the worker's name; one text is that of every worker; without one there is none."""
    assert config.loads(STUDY + FULL).cluster.network_of("tx-1") == "eth1"
    everywhere = config.loads(STUDY, overrides=["cluster.scheduler=tls://h", "cluster.address=eth1"]).cluster
    assert config.loads(STUDY + FULL).cluster.network_of("another") is None
    assert everywhere.network_of("any") == "eth1"
    assert config.loads(STUDY, overrides=["cluster.scheduler=tls://h"]).cluster.network_of("any") is None


@pytest.mark.parametrize("scheduler", ["tcp://127.0.0.1:8786", "tcp://localhost:8786", "tcp://[::1]:8786"])
def test_loopback_needs_no_encryption(scheduler):
    """A tcp scheduler on loopback is accepted as it is, and has no TLS files."""
    cluster = config.loads(STUDY, overrides=[f"cluster.scheduler={scheduler}"]).cluster
    assert (cluster.scheduler, cluster.encrypted, cluster.ca) == (scheduler, False, None)


@pytest.mark.parametrize("scheduler", ["tcp://10.0.0.1:8786", "tcp://lab.example:8786", "tcp://127.example.org:8786"])
def test_elsewhere_an_unencrypted_scheduler_is_refused_unless_asked_for(scheduler):
    """A tcp scheduler off loopback is an error that says why and what to type; --insecure accepts it."""
    with pytest.raises(ConfigError, match=r"is not encrypted: whoever reaches this port can run programs on every host .*--insecure"):
        config.loads(STUDY, overrides=[f"cluster.scheduler={scheduler}"])
    assert config.loads(STUDY, overrides=[f"cluster.scheduler={scheduler}", "cluster.insecure=true"]).cluster.insecure
