"""The JSON Schema of the config agrees with what zcload takes and refuses."""

from __future__ import annotations

import jsonschema
import pytest

from zcload import config

SMALLEST = '[study]\nname = "s"\nbaseline = "read_send"\nvariants = ["read_send"]\n'
FULL = """
[study]
name = "full"
baseline = "plain"
aa = true

[workload]
file = ["auto", "/srv/data.bin"]
file_size = "2.4GB"
receivers = "per-sender"
socket_buffer = ["auto", "64KiB"]
address = "::1"
network = "veth"
mtu = ["auto", 9000]
offloads = false

[stop]
target = "1.5%"
max_time = "1m30s"
window = "25ms"

[[variant]]
name = "plain"
mechanism = "read_send"

[[variant]]
name = "mapped, kept"
mechanism = "mmap_send"
keep_mapping = true
chunk = "4KiB"
sink = "recv"
"""


def accepts(tree: object) -> bool:
    return jsonschema.Draft202012Validator(config.json_schema()).is_valid(tree)


def test_the_schema_takes_what_zcload_takes():
    """Every valid config, as written and in its effective form, satisfies the JSON Schema, which is itself valid."""
    jsonschema.Draft202012Validator.check_schema(config.json_schema())
    for study in (config.loads(SMALLEST), config.loads(FULL), config.loads(SMALLEST + '[cluster]\nscheduler = "tls://lab:8786"\n')):
        assert accepts(study.config)
    assert accepts({"study": {"name": "s", "baseline": "splice", "variants": ["splice"]}, "workload": {"chunk": ["1MiB"]}})


@pytest.mark.parametrize(
    "change",
    [
        {"wrkload": {}},
        {"workload": {"chnk": "64KiB"}},
        {"workload": {"chunk": "64K"}},
        {"workload": {"chunk": 65536}},
        {"workload": {"chunk": []}},
        {"workload": {"senders": 0}},
        {"workload": {"cache": "cool"}},
        {"workload": {"mtu": 67}},
        {"workload": {"offloads": "on"}},
        {"stop": {"target": "3"}},
        {"stop": {"window": ""}},
        {"variant": [{"name": "v", "mechanism": "sendfile", "port": 1}]},
        {"variant": [{"name": "v", "mechanism": "sendfile", "keep_mapping": True}]},
        {"variant": [{"name": "v"}]},
        {"study": {"name": "s"}},
    ],
)
def test_the_schema_refuses_what_zcload_refuses(change):
    """An editor that knows the schema marks unknown keys, bare units and options of another mechanism."""
    assert not accepts(config.loads(SMALLEST).config | change)


def test_the_schema_describes_every_key():
    """No key is without its reference text."""
    for section in config.json_schema()["$defs"].values():
        assert all(described.get("description") for described in section["properties"].values())
