"""The recipes in examples/cluster: valid YAML, units and shell, and command lines that Dask accepts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import jsonschema
import pytest
from distributed.cli.dask_scheduler import main as scheduler
from distributed.cli.dask_worker import main as worker
from ruamel.yaml import YAML
from support.paths import ROOT

EXAMPLES = ROOT / "examples" / "cluster"
KUBERNETES = list(YAML(typ="safe").load_all(EXAMPLES / "kubernetes.yaml"))


def options_of(command):
    """Return the options that a command of Dask has."""
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("path", [*sorted(EXAMPLES.iterdir()), ROOT / "docs" / "cluster.md"], ids=lambda path: path.name)
def test_options_are_those_of_dask(path):
    """Every long option of a line that starts a scheduler or a worker is one that Dask has."""
    text = path.read_text().replace("\\\n", " ")
    for kind, command in (("scheduler", scheduler), ("worker", worker)):
        lines = [line for line in text.splitlines() if re.search(rf"dask {kind} ", line) and not line.lstrip().startswith("#")]
        for line in lines:
            used = set(re.findall(r"(?<=\s)--[a-z-]+", line.partition(f"dask {kind}")[2]))
            assert used <= options_of(command) | {"--preload"}, line


def test_the_pods_of_kubernetes_are_in_the_network_of_their_nodes():
    """Every pod has hostNetwork, the keys and the quiet preload; each role has a group and a node of its own."""
    cluster, group = KUBERNETES
    specs = [cluster["spec"]["scheduler"]["spec"], cluster["spec"]["worker"]["spec"], group["spec"]["worker"]["spec"]]
    assert [spec["hostNetwork"] for spec in specs] == [True] * 3
    for spec, command in zip(specs, (scheduler, worker, worker), strict=True):
        (container,) = spec["containers"]
        assert container["volumeMounts"][0]["mountPath"] == "/keys"
        assert spec["volumes"][0]["secret"]["secretName"] == "zcload-keys"
        assert "--preload=zcload.cluster.quiet" in container["args"]
        assert {word.partition("=")[0] for word in container["args"] if word.startswith("--")} <= options_of(command)
    assert [spec["nodeSelector"]["zcload"] for spec in specs[1:]] == ["sender", "receiver"]
    assert group["spec"]["cluster"] == cluster["metadata"]["name"]


def closed(schema):
    """Return *schema* with no other properties than those that it names, as the API server's strict validation has it."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        found.setdefault("additionalProperties", False)
    return found


def test_the_operator_accepts_the_cluster():
    """Each document fits the schema of its kind in dask-kubernetes 2026.3.0, with no key that the schema does not have."""
    schemas = json.loads((ROOT / "tests" / "data" / "dask-kubernetes-crds.json").read_text())  # its "spec", without descriptions
    for document in KUBERNETES:
        checker = jsonschema.Draft202012Validator(closed(schemas[document["kind"]]))
        assert [error.message for error in checker.iter_errors(document["spec"])] == []
        wrong = {**document["spec"], "workers": 1}
        assert "'workers' was unexpected" in next(checker.iter_errors(wrong)).message


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "cluster").glob("*.toml")), ids=lambda path: path.name)
def test_shipped_configs_of_clusters_are_planned_without_the_hosts(path):
    """`zcload run --plan` shows the hosts that a config asks for, and needs none of them."""
    done = subprocess.run([sys.executable, "-m", "zcload", "run", path, "--plan"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "hosts:     senders sender=1, receivers receiver=1, pairs, through tls://" in done.stdout
    assert "loopback" not in done.stdout


def test_the_slurm_script_is_shell():
    """A POSIX shell parses examples/cluster/slurm.sh."""
    assert subprocess.run(["sh", "-n", EXAMPLES / "slurm.sh"], capture_output=True, text=True).stderr == ""


def test_systemd_accepts_the_units(tmp_path):
    """systemd-analyze finds nothing wrong with the units, apart from the program that is not installed here."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here: apt-get install systemd")
    for path in EXAMPLES.glob("*.service"):
        copy = tmp_path / path.name
        copy.write_text(path.read_text().replace("/opt/zcload/bin/dask", "/bin/true"))
        found = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True)
        assert path.name not in found.stderr.replace("@i.service", "@.service"), found.stderr
