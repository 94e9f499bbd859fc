"""Mechanisms that are not zcload's: classes in files and in installed packages, and the rules that they must keep."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

import zcload
from zcload import config
from zcload.cli.command_line import run_command_line
from zcload.cli.crossover import crossover_study
from zcload.errors import ConfigError
from zcload.mechanisms import MECHANISMS, mechanism_called, mechanism_of, registry
from zcload.mechanisms.base import MOST_CALLS
from zcload.mechanisms.null import Null
from zcload.mechanisms.own_contract import check_transfer
from zcload.mechanisms.own_file import load_file
from zcload.mechanisms.sendfile import Sendfile
from zcload.model.units import ValueRefused
from zcload.runner import preflight

ROOT = Path(zcload.__file__).parents[1]
EXAMPLE = ROOT / "examples" / "wrapped-sendfile"

GOOD = """
import os
import re
from zcload.mechanisms.base import Mechanism

class MySend(Mechanism):
    name = "my_send"
    summary = "pread, then send"
    calls = ("pread", "send")
    options = {"politely": bool}

    def __init__(self, sock, fd, size, chunk, politely=False):
        super().__init__(sock, fd, size, chunk)
        self.politely = politely

    def send(self, offset, count):
        data = os.pread(self.fd, count, offset)
        self.counts[0] += 1
        self.counts[1] += 1
        return self.sock.send(data)
"""

# What is changed in the good one, and what the refusal says of it.
DECLARED = [
    ('name = "my_send"', "pass", "MySend has no `name`"),
    ('name = "my_send"', 'name = "My Send"', "has the name 'My Send'"),
    ('name = "my_send"', 'name = "sendfile"', "the name of another mechanism, 'sendfile'"),
    ('name = "my_send"', 'name = "server"', "the name of another mechanism, 'server'"),
    ('summary = "pread, then send"', "pass", "no `summary`"),
    ('summary = "pread, then send"', 'summary = "one\\ntwo"', "no `summary` of one line"),
    ('("pread", "send")', '"pread"', "MySend.calls is 'pread': expected a tuple"),
    ('("pread", "send")', '("send", "send")', "MySend.calls lists 2 calls"),
    ("summary =", "calls_are_counted = False; summary =", "MySend declares calls and calls_are_counted = False"),
    ("def __init__(", "one_call = True; sender = lambda self: self.send\n    def __init__(", "MySend declares one_call = True and 2 calls"),
    ("def send(", "def sent(", "MySend has no `send`"),
    ('{"politely": bool}', '{"chunk": int}', "MySend.options['chunk'] is not an option"),
    ('{"politely": bool}', '{"politely": list}', "MySend.options['politely'] is not an option"),
    ("class MySend(Mechanism)", "class MySend", "'MySend' is not a mechanism"),
    ("import os\n", "import os, there_is_no_such_module\n", "own.py:2: cannot be loaded: ModuleNotFoundError"),
    ("class MySend(", "class MySend((", "own.py:6: cannot be loaded: SyntaxError"),
    ("class MySend(", "class Other(", "own.py has no class 'MySend'"),
    ("summary =", "copies = 2; summary =", "MySend.copies is 2"),
]
SHOWN = [
    ("return self.sock.send(data)", "self.sock.send(data)", "returned nothing: expected the number of bytes accepted, 1 to 4096"),
    ("return self.sock.send(data)", "return self.sock.send(data) + 1", "returned 4097: expected"),
    ("return self.sock.send(data)", "return 0", "returned 0: expected"),
    ("return self.sock.send(data)", "return True", "expected the number of bytes accepted"),
    ("return self.sock.send(data)", "return len(data)", "delivered other bytes than the file holds: 0 of 10040 arrived"),
    ("self.sock.send(data)", "self.sock.send(data[::-1])", "delivered other bytes than the file holds"),
    ("+= 1", "+= 0", "MySend.send counted no call"),
    ("self.counts[1] += 1", "self.counts.append(1)", "MySend.counts is"),
    ("data = os", "data = oz", "failed in own.py:17: NameError"),
    ("super().__init__(sock, fd, size, chunk)", "pass", "AttributeError"),
    ("data = os.pread(self.fd, count, offset)", "raise OSError(95, 'no')", "a test transfer through MySend failed"),
]


def written(path, source=GOOD):
    """Write a mechanism's file, and return "FILE.py:MySend"."""
    path.write_text(source)
    return f"{path}:MySend"


def changed(old, new):
    """Return the good mechanism with one thing changed."""
    assert old in GOOD
    return GOOD.replace(old, new)


def tree(mechanism, **keys):
    """Return a config that compares *mechanism*."""
    return {
        "study": {"name": "own", "baseline": "read_send", "variants": ["read_send"]},
        "variant": [{"name": "mine", "mechanism": mechanism, **keys}],
    }


@pytest.mark.parametrize(("old", "new", "what"), DECLARED)
def test_a_class_that_declares_nonsense_is_refused_with_the_rule(old, new, what, tmp_path):
    """Reading a config refuses a class that lacks what a mechanism declares, with file, key and the broken rule."""
    name = written(tmp_path / "own.py", changed(old, new))
    with pytest.raises(ConfigError) as refused:
        config.from_tree(tree(name), "study.toml")
    (problem,) = refused.value.problems
    assert what in problem.what
    assert str(tmp_path / "own.py") in problem.what
    assert (problem.file, problem.key) == ("study.toml", "variant[mine].mechanism")


@pytest.mark.parametrize(("old", "new", "what"), SHOWN)
def test_a_class_that_sends_nonsense_is_refused_with_the_rule(old, new, what, tmp_path):
    """A test transfer refuses a class that returns, counts or sends what it must not, before anything is measured."""
    study = config.from_tree(tree(written(tmp_path / "own.py", changed(old, new))))
    with pytest.raises(ConfigError) as refused:
        preflight.unavailable(study, study.points[0])
    (problem,) = refused.value.problems
    assert what in problem.what
    assert problem.key == "variant[mine].mechanism"


def test_a_class_that_keeps_the_rules_is_taken(tmp_path, monkeypatch):
    """A relative path becomes absolute, options arrive, and the class runs on this host."""
    written(tmp_path / "own.py")
    monkeypatch.chdir(tmp_path)
    study = config.from_tree(tree("own.py", politely=True))
    variant = study.variant("mine")
    assert variant.mechanism == f"{tmp_path}/own.py:MySend"
    assert variant.options == {"politely": True}
    assert mechanism_of(variant).name == "my_send"
    assert preflight.unavailable(study, study.points[0]) == {}
    monkeypatch.chdir("/")
    assert config.from_tree(study.config).variant("mine").mechanism == variant.mechanism


def test_the_schema_takes_what_zcload_takes(tmp_path):
    """The JSON Schema takes a file's mechanism with options that it cannot know, and still refuses unknown keys of the others."""
    name = written(tmp_path / "own.py")
    check = jsonschema.Draft202012Validator(config.json_schema())
    assert check.is_valid(tree(name, politely=True))
    assert check.is_valid(tree("sendfile"))
    assert not check.is_valid(tree("sendfile", politely=True))
    assert not check.is_valid(tree("no_such"))


def test_a_file_belongs_into_a_variant(tmp_path):
    """The short list of variants takes names only, and says where a file goes."""
    name = written(tmp_path / "own.py")
    with pytest.raises(ConfigError, match=r"is a file \(write a \[\[variant\]\]"):
        config.from_tree({"study": {"name": "own", "baseline": "read_send", "variants": ["read_send", name]}})


def test_a_file_with_several_mechanisms_needs_the_class(tmp_path):
    """Without a class, a file that defines two mechanisms or none is refused with what to write."""
    two = GOOD + GOOD.partition("Mechanism\n")[2].replace("MySend", "Other").replace("my_send", "other")
    for source, what in ((two, "defines 2 mechanisms"), ("", "defines 0 mechanisms")):
        path = tmp_path / f"own{len(source)}.py"
        path.write_text(source)
        with pytest.raises(ValueRefused, match=what):
            load_file(str(path), MECHANISMS)
    with pytest.raises(ValueRefused, match="no such file"):
        load_file(str(tmp_path / "none.py:MySend"), MECHANISMS)


@pytest.mark.parametrize("cls", MECHANISMS.values())
def test_the_built_in_ones_keep_the_rules(cls):
    """Every registered mechanism that runs here passes the checks that a user's own must pass."""
    assert len(cls.calls) <= MOST_CALLS
    if (why := cls.probe()) is not None:
        pytest.skip(f"{why.reason}; remedy: {why.remedy}")
    check_transfer(cls, {})


def test_init_writes_a_mechanism_that_runs(tmp_path, monkeypatch, capsys):
    """`zcload init --mechanism FILE` writes a class called after the file that keeps the contract; it overwrites nothing."""
    monkeypatch.chdir(tmp_path)
    assert run_command_line(["init", "--mechanism", "my_loop.py"]) == 0
    assert "zcload run read_send sendfile --mechanism my_loop.py:MyLoop" in capsys.readouterr().out
    assert "own_template" not in Path("my_loop.py").read_text()
    cls = mechanism_called("my_loop.py")
    assert (cls.name, cls.__name__) == ("my_loop", "MyLoop")
    check_transfer(cls, {})
    for file, what in (("my_loop.py", "already exists"), ("sendfile.py", "is a mechanism already"), ("My-loop.txt", "cannot name")):
        assert run_command_line(["init", "--mechanism", file]) == 2
        assert what in capsys.readouterr().err
    assert run_command_line(["init", "smoke", "--mechanism", "other.py"]) == 2


def test_the_option_names_itself_in_errors(tmp_path, capsys):
    """`--mechanism` refuses a broken class and a plain name before anything is measured, with the option and the rule."""
    broken = written(tmp_path / "own.py", changed("def send(", "def sent("))
    for given, what in ((broken, "MySend has no `send`"), ("sendfile", "'sendfile' is not FILE.py:Class")):
        assert run_command_line(["run", "read_send", "--mechanism", given]) == 2
        error = capsys.readouterr().err
        assert error.startswith("zcload: error: --mechanism: ")
        assert what in error


@pytest.mark.serial
def test_a_run_in_fresh_processes_measures_it(tmp_path, monkeypatch, capsys):
    """A study with `--mechanism` loads the class in each replicate, verifies its bytes, and stores name and path; it can be repeated."""
    name = written(tmp_path / "own.py")
    monkeypatch.chdir(tmp_path)
    options = ["--time=2s", "--no-wait", "--no-html", "--no-progress", "--json", "--replicates=2"]
    options += ["--set=workload.file_size=4MiB", "--set=stop.min_generations=2", "--set=study.best_chunk=false"]
    assert run_command_line(["run", "read_send", "--mechanism", "own.py:MySend", "--out=first", *options]) == 0
    summary = json.loads(capsys.readouterr().out)
    (point,) = summary["points"]
    (mine,) = (each for each in point["variants"] if each["name"] == "my_send")
    assert mine["mechanism"] == "my_send"
    assert mine["metrics"]["sender_syscalls_per_gb"]["estimate"] > 0
    assert {"name": "my_send", "mechanism": name} in summary["config"]["variant"]
    monkeypatch.chdir("/")
    assert run_command_line(["run", str(tmp_path / "first"), "--plan", "--yes"]) == 0
    assert "my_send" in capsys.readouterr().out


def installed(folder, source, points):
    """Lay a package out as pip installs it, and return an environment in which it is found."""
    (folder / "own_package.py").write_text(source)
    info = folder / "own_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[zcload.mechanisms]\n" + "".join(f"{point}\n" for point in points))
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}


def zcload_command(environment, *arguments):
    """Run zcload in a process of its own."""
    return subprocess.run([sys.executable, "-m", "zcload", *arguments], capture_output=True, text=True, env=environment, timeout=300)


def test_the_example_package_adds_its_mechanism(tmp_path):
    """With the example package installed its mechanism is listed as one that runs, and a study takes it by name."""
    import tomllib

    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    (point,) = (f"{name} = {value}" for name, value in project["entry-points"]["zcload.mechanisms"].items())
    environment = installed(tmp_path, "", [point])
    (tmp_path / "zcload_wrapped_sendfile.py").write_text((EXAMPLE / "zcload_wrapped_sendfile.py").read_text())
    listed = json.loads(zcload_command(environment, "mechanisms", "--json").stdout)
    (found,) = (each for each in listed["mechanisms"] if each["name"] == "wrapped_sendfile")
    assert found["runs"] is True
    planned = zcload_command(environment, "run", "sendfile", "wrapped_sendfile", "--plan")
    assert planned.returncode == 0, planned.stderr
    assert "wrapped_sendfile" in planned.stdout


def test_a_broken_package_disturbs_no_other(tmp_path):
    """Mechanisms of packages that break the contract are refused where they are named, with the rule; the others run."""
    source = changed("def send(", "def sent(") + "class Fine:\n    pass\n" + GOOD.replace("class MySend", "class Other")
    points = ["broken = own_package:MySend", "gone = no_such_package:Other", "called_so = own_package:Other", "my_send = own_package:Other"]
    environment = installed(tmp_path, source, points)
    listed = json.loads(zcload_command(environment, "mechanisms", "--json").stdout)
    found = {each["name"]: each for each in listed["mechanisms"]}
    assert found["sendfile"]["runs"]
    assert found["my_send"]["runs"]
    for name, what in (("broken", "has no `send`"), ("gone", "cannot be loaded"), ("called_so", "leads to 'my_send'")):
        assert not found[name]["runs"]
        assert "own-package" in found[name]["reason"]
        assert what in found[name]["reason"]
        refused = zcload_command(environment, "run", "read_send", name, "--plan")
        assert refused.returncode == 2
        assert what in refused.stderr
        assert "Traceback" not in refused.stderr


def test_a_package_may_ask_for_mechanisms_while_it_is_imported(monkeypatch):
    """A look for installed packages that imports one which looks itself finds what is known by then, and happens once."""
    looks = []

    def look(taken):
        looks.append(set(taken))
        return ({"my_send": Null} if "my_send" not in known and list(known) == ["sendfile"] else {}), {}

    monkeypatch.setattr(registry, "installed", look)
    known = registry.Registry((Sendfile,), taken=("relay",))
    assert known["sendfile"] is Sendfile
    assert looks == []
    assert (known["my_send"], list(known)) == (Null, ["sendfile", "my_send"])
    assert looks == [{"sendfile", "relay"}]


# What others' code may do in a test transfer beside breaking a rule, and what the refusal says of it.
MISBEHAVES = [
    ("return self.sock.send(data)", "import time; time.sleep(60)", "did not end within 0.3 s"),
    ("return self.sock.send(data)", "self.sock.recv(1)", "did not end within 0.3 s"),
    ("return self.sock.send(data)", "os.kill(os.getpid(), 9)", "was killed by SIGKILL"),
    ("return self.sock.send(data)", "os._exit(3)", "ended with status 3"),
]


@pytest.mark.parametrize(("old", "new", "what"), MISBEHAVES, ids=[what for _, _, what in MISBEHAVES])
def test_a_send_that_hangs_or_crashes_is_refused_in_time(old, new, what, tmp_path):
    """A `send` that sleeps, waits for bytes that never come, aborts or exits ends the check only, with the limit or the end named."""
    cls = mechanism_called(written(tmp_path / "own.py", changed(old, new)))
    with pytest.raises(ValueRefused, match=re.escape(what)):
        check_transfer(cls, {}, limit_s=0.3)


def test_crossover_and_send_take_a_class_in_a_file(tmp_path, capsys, monkeypatch):
    """`zcload crossover A FILE:Class` searches with it under its own name; both commands name the rule that a broken one breaks."""
    own = written(tmp_path / "own.py", GOOD)
    study = crossover_study(["read_send", own], [], {"--sweep": "chunk"})
    assert [(v.name, v.mechanism) for v in study.variants] == [("read_send", "read_send"), ("my_send", own)]
    assert study.crossover.contender == "my_send"
    broken = written(tmp_path / "broken.py", changed("def send(", "def sent("))
    (tmp_path / "file").write_bytes(b"x")
    for command in (["crossover", "read_send", broken, "--sweep", "chunk"], ["send", str(tmp_path / "file"), "--via", broken]):
        assert run_command_line(command) == 2
        assert "MySend has no `send`" in capsys.readouterr().err
