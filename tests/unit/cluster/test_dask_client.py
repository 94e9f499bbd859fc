"""A client of a scheduler: what is said before Dask is asked."""

from __future__ import annotations

import logging
import subprocess
import sys
from types import SimpleNamespace

import pytest

from zcload.cluster.dask_client import connect, install_command, quiet_log
from zcload.cluster.dask_engine import DaskEngine
from zcload.errors import ConfigError
from zcload.model.cluster import Cluster


def test_a_missing_extra_is_an_error_with_the_command_that_installs_it(monkeypatch):
    """Where distributed is not installed, the error names it and the pip command with the versions of the extra."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError) as refused:
        connect(Cluster("tcp://127.0.0.1:8786"))
    (problem,) = refused.value.problems
    assert problem.what.startswith("a cluster needs the Python package distributed, which is not installed here")
    assert problem.remedy == install_command()
    assert "'distributed<2027,>=2026.3'" in install_command()
    assert "vl-convert" not in install_command()


def test_an_unencrypted_scheduler_off_loopback_is_refused_before_anything_is_sent():
    """A tcp scheduler elsewhere is refused by its address alone."""
    with pytest.raises(ConfigError, match=r"is not encrypted: .*--insecure"):
        connect(Cluster("tcp://10.255.255.1:8786"))


def test_the_log_of_a_client_is_quiet_until_every_engine_is_closed(monkeypatch, caplog):
    """While an engine is attached Dask's client logs no error; once all are closed, or one could not connect, it logs as before."""
    client = SimpleNamespace(close=lambda timeout: None)
    logger = logging.getLogger("distributed.client")
    before = logger.level
    monkeypatch.setattr("zcload.cluster.dask_engine.connect", lambda cluster: client)
    cluster = Cluster("tcp://127.0.0.1:8786")
    engines = [DaskEngine.attach(cluster) for _ in range(2)]
    logger.error("one")
    engines[0].close()
    logger.error("two")
    logger.critical("three")
    engines[1].close()
    logger.error("four")
    monkeypatch.setattr("zcload.cluster.dask_engine.connect", connect)
    with pytest.raises(ConfigError):
        DaskEngine.attach(Cluster("tcp://10.255.255.1:8786"))
    logger.error("five")
    with quiet_log():
        logger.error("six")
    assert [record.message for record in caplog.records] == ["three", "four", "five"]
    assert logger.level == before


def test_ordinary_commands_do_not_import_the_engine():
    """Help, configs and a config with a cluster section come without an import of distributed."""
    check = (
        "import sys\n"
        "from zcload import config\n"
        "from zcload.cli import app, run\n"
        "from zcload.runner import run as runner\n"
        'text = \'[study]\\nname = "s"\\nbaseline = "read_send"\\nvariants = ["read_send"]\\n[cluster]\\nscheduler = "tls://h"\\n\'\n'
        "assert config.loads(text).cluster\n"
        "print([name for name in ('distributed', 'dask', 'asyncssh', 'cryptography') if name in sys.modules])\n"
    )
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout == "[]\n"
