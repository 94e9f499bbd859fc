"""The config: what a file means, and what is wrong with it in exact words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import DATA

from zcload import config
from zcload.errors import ConfigError
from zcload.model.study import Point, Stop, Study, Variant

BAD = DATA / "bad_configs"
SMALLEST = '[study]\nname = "s"\nbaseline = "read_send"\nvariants = ["read_send"]\n'
FULL = """
[study]
name = "full"
baseline = "plain"
variants = ["sendfile"]
schedule = "together"
aa = true
best_chunk = false

[workload]
senders = [1, 2]
file = ["auto", "/srv/data.bin"]
file_size = "2.4GB"
dir = "/dev/shm"
chunk = ["64KiB", "1MiB"]
receive_chunk = "128KiB"
receivers = "per-sender"
sink = "discard"
placement = "same"
cache = "warm"
rate = "max"
transfer = "stream"
network = "veth"
mtu = 9000
offloads = false
address = "::1"
port = 10000
socket_buffer = "auto"
congestion = "reno"

[stop]
target = "1.5%"
margin = "5%"
max_time = "1m30s"
min_generations = 2
replicates = 3
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
YAML = """
study: {name: s, baseline: read_send, variants: [read_send]}
workload:
  chunk: [64KiB, 256KiB]
variant:
  - name: kept
    mechanism: mmap_send
    keep_mapping: true
"""


def problems(error: pytest.ExceptionInfo[ConfigError]) -> list[str]:
    return str(error.value).splitlines()


@pytest.mark.parametrize("name", sorted(path.name for path in BAD.iterdir() if path.suffix != ".expected"))
def test_a_wrong_file_is_refused_in_these_words(name, monkeypatch, golden):
    """Each wrong file gives all of its problems at once: file, line, key, what was found, what is expected, what was meant."""
    monkeypatch.chdir(BAD)
    with pytest.raises(ConfigError) as error:
        config.load(name)
    golden(Path(f"{name}.expected"), f"{error.value}\n")
    assert error.value.exit_code == 2


def test_defaults_are_those_of_the_contract():
    """A study that gives only what is required has the documented default of everything else."""
    study = config.loads(SMALLEST)
    assert study == Study(
        name="s",
        baseline="read_send",
        variants=(Variant("read_send", "read_send"),),
        points=(Point(),),
        stop=Stop(),
        config=study.config,
    )
    assert Point() == Point(file_size=256 << 20, chunk=256 << 10, receive_chunk=256 << 10, socket_buffer=1 << 20)


def test_every_key_arrives():
    """Each key of a file is found, converted, where the study has it."""
    study = config.loads(FULL)
    assert study.variants == (
        Variant("sendfile", "sendfile"),
        Variant("plain", "read_send"),
        Variant("plain#2", "read_send", aa=True),
        Variant("mapped, kept", "mmap_send", chunk=4096, sink="recv", options={"keep_mapping": True}),
    )
    assert (study.name, study.baseline, study.schedule, study.aa, study.best_chunk) == ("full", "plain", "together", True, False)
    assert study.stop == Stop(target=0.015, margin=0.05, max_time_s=90.0, min_generations=2, window_s=0.025, replicates=3)
    assert study.points[-1] == Point(
        file="/srv/data.bin",
        file_size=2_400_000_000,
        dir="/dev/shm",
        chunk=1 << 20,
        receive_chunk=128 << 10,
        senders=2,
        receivers="per-sender",
        sink="discard",
        placement="same",
        address="::1",
        port=10000,
        socket_buffer=None,
        congestion="reno",
        network="veth",
        mtu=9000,
        offloads=False,
    )


def test_points_are_the_product_in_the_order_of_the_keys():
    """The first list of the file changes slowest, the last one fastest."""
    study = config.loads(FULL)
    assert study.swept == ("senders", "file", "chunk")
    assert [(point.senders, point.file, point.chunk >> 10) for point in study.points] == [
        (senders, file, chunk) for senders in (1, 2) for file in (None, "/srv/data.bin") for chunk in (64, 1024)
    ]


def test_loopback_points_come_once_when_the_device_is_swept():
    """MTU and offloads multiply the points over veth only: loopback has neither."""
    swept = '[workload]\nnetwork = ["loopback", "veth"]\nmtu = ["auto", 9000]\noffloads = [true, false]\n'
    points = config.loads(SMALLEST + swept).points
    assert [(point.network, point.mtu, point.offloads) for point in points] == [
        ("loopback", None, True),
        *(("veth", mtu, offloads) for mtu in (None, 9000) for offloads in (True, False)),
    ]


def test_yaml_and_toml_are_the_same_tree():
    """A YAML config means what the same config in TOML means."""
    toml = SMALLEST + '[workload]\nchunk = ["64KiB", "256KiB"]\n[[variant]]\nname = "kept"\nmechanism = "mmap_send"\nkeep_mapping = true\n'
    assert config.loads(YAML, "yaml") == config.loads(toml)


@pytest.mark.parametrize("text", [SMALLEST, FULL])
def test_the_effective_config_gives_the_study_again(text):
    """What a result stores as its config, through JSON, runs as the equal study."""
    study = config.loads(text)
    assert config.from_tree(json.loads(json.dumps(study.config))) == study


def test_the_effective_config_names_every_key():
    """The effective config leaves no default unsaid, and says it in text that a config file accepts."""
    effective = config.loads(SMALLEST).config
    assert effective["variant"] == [{"name": "read_send", "mechanism": "read_send"}]
    assert effective["workload"]["chunk"] == "256KiB"
    assert effective["workload"].keys() == config.json_schema()["$defs"]["WorkloadSection"]["properties"].keys()
    assert effective["stop"] == {"target": "3%", "margin": "3%", "max_time": "1m", "min_generations": 6, "replicates": 6, "window": "auto"}


@pytest.mark.parametrize("tree", [3, None, [], {}])
def test_a_stored_config_that_is_damaged_is_refused(tree):
    """A result whose config is not a config gives an error, not a traceback."""
    with pytest.raises(ConfigError):
        config.from_tree(tree, name="summary.json")


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("workload.chunk=64KiB", lambda study: [point.chunk for point in study.points] == [65_536]),
        ("workload.chunk=[64KiB, 1MiB]", lambda study: study.swept == ("chunk",) and len(study.points) == 2),
        ('workload.chunk=["64KiB"]', lambda study: study.swept == ("chunk",)),
        ("workload.senders=4", lambda study: study.points[0].senders == 4),
        ("stop.max_time=5s", lambda study: study.stop.max_time_s == 5.0),
        ("study.aa=true", lambda study: [variant.name for variant in study.variants][:2] == ["read_send", "read_send#2"]),
        ("study.name='7'", lambda study: study.name == "7"),
        ("study.variants=[read_send,splice]", lambda study: [variant.name for variant in study.variants[:2]] == ["read_send", "splice"]),
        ("variant.v1.0.chunk=1MiB", lambda study: study.variant("v1.0").chunk == 1 << 20),
        ("variant[v1.0].chunk=1MiB", lambda study: study.variant("v1.0").chunk == 1 << 20),
    ],
)
def test_an_override_replaces_one_key(override, read):
    """`--set` takes flags, numbers, text and lists, and reaches into variants by name."""
    assert read(config.loads(SMALLEST + '[[variant]]\nname = "v1.0"\nmechanism = "mmap_send"\n', overrides=[override]))


def test_the_last_override_of_a_key_wins():
    """Overrides apply in order, and a wrong value that is overridden is no problem."""
    study = config.loads(SMALLEST + "[workload]\nsenders = 0\n", overrides=["workload.senders=2", "workload.senders=3"])
    assert study.points[0].senders == 3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "workload.chunk=64K",
            "workload.chunk: '64K' is not a size: expected a size such as '64KiB', '2.4GB' or '512B' ('64KiB' or '64kB'?)",
        ),
        ("workload.senders=[1,0]", "workload.senders[2]: 0 is out of range: expected 1 to 4096"),
        ("workload.chnk=64KiB", "workload.chnk: unknown key (did you mean 'workload.chunk'?)"),
        ("study.baseline=splice", "study.baseline: 'splice' is not the name of a variant: expected one of 'read_send', 'v'"),
        ("chunk=64KiB", "chunk: unknown key (did you mean 'workload.chunk'?)"),
        ("what.ever=1", "what: unknown key: expected one of study, workload, stop, crossover, cluster, variant"),
        ("study.name.x=1", "study.name.x: 'study.name' is not a section"),
        (
            "variant.splicf.chunk=1MiB",
            "variant.splicf.chunk: no [[variant]] is called 'splicf' (only [[variant]] sections have keys to set)",
        ),
        (
            "variant.v.port=1",
            "variant[v].port: cannot differ between variants: expected one of name, kind, mechanism, chunk, sink, header",
        ),
        ("workload.chunk", "'workload.chunk' is not an override: expected key=value, as in workload.chunk=64KiB"),
        ("=1", "'=1' is not an override: expected key=value, as in workload.chunk=64KiB"),
    ],
)
def test_a_wrong_override_is_reported_as_such(override, message):
    """A problem that an override makes names `--set`, not the file."""
    with pytest.raises(ConfigError) as error:
        config.loads(SMALLEST + '[[variant]]\nname = "v"\nmechanism = "splice"\n', name="c.toml", overrides=[override])
    assert problems(error) == [f"--set: {message}"]


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
    """Missing, a directory, unreadable, huge or oddly named: each is one clear line."""
    (tmp_path / "dir.toml").mkdir()
    (tmp_path / "io.toml").symlink_to("/proc/self/mem")  # readable by its mode, and an I/O error at offset 0
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "zero.toml").symlink_to("/dev/zero")
    (tmp_path / "big.toml").write_bytes(b"#" * (2 << 20))
    for name, what in {
        "none.toml": "no such file (`zcload init` writes a commented config)",
        "dir.toml": "is a directory: expected a config file",
        "io.toml": "cannot be read: input/output error",
        "big.toml": "cannot be read: larger than 1 MiB",
        "pipe.toml": "cannot be read: a pipe, not a file: copy what it holds into a file first",
        "zero.toml": "cannot be read: a device, not a file: copy what it holds into a file first",
        "a\0b.toml": "cannot be read: embedded null byte",
        "line\nbreak.toml": "no such file (`zcload init` writes a commented config)",
    }.items():
        with pytest.raises(ConfigError) as error:
            config.load(tmp_path / name)
        assert problems(error)[0].endswith(f": {what}")
        assert len(problems(error)) == 1


def test_windows_line_ends_and_byte_order_mark_are_text(tmp_path):
    """A file from an editor of another system is read like any other, lines counted alike."""
    path = tmp_path / "dos.toml"
    path.write_bytes(b"\xef\xbb\xbf" + (SMALLEST + "[workload]\nport = -1\n").replace("\n", "\r\n").encode())
    with pytest.raises(ConfigError, match=r"dos\.toml:6: workload\.port: "):
        config.load(path)


def test_importing_the_package_is_cheap():
    """Commands that read no config do not pay for the models and the YAML parser."""
    heavy = "import sys, zcload.config; print([m for m in ('pydantic', 'ruamel.yaml', 'tree_sitter') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
