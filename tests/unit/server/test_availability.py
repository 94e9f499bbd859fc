"""What this host lacks for a server is found before anything is started, and comes with its remedy."""

from __future__ import annotations

import os
import sys

import pytest
from support.paths import ROOT

from zcload import config
from zcload.errors import ConfigError
from zcload.model.study import Server
from zcload.server import availability
from zcload.server.availability import missing

PYTHON_SERVERS = [
    pytest.param(variant, id=f"{path.stem}-{variant['name']}")
    for path in sorted(ROOT.glob("configs/servers/*.toml"))
    for variant in config.load(path).config["variant"]
    if "pip install" in variant.get("install", "")
]


def checked(code, **more):
    """Return a server whose check runs Python code."""
    return Server((sys.executable,), check=("{python}", "-c", code), install="pip install such", **more)


def test_a_program_that_is_not_there_is_said_with_its_hint():
    """A command that is not found is a reason to skip the variant, with how to get it."""
    absent = missing("s", Server(("no-such-program",), install="apt-get install such"))
    assert str(absent) == "s: no-such-program: command not found (apt-get install such)"
    assert missing("s", Server((sys.executable,))) is None


def test_a_process_above_zcload_is_not_attached_to():
    """A process that zcload itself descends from is refused: zcload's own CPU time would count as the server's."""
    for above in (os.getpid(), os.getppid()):
        absent = missing("s", Server(attach=above, port=1))
        assert f"process {above} cannot be attached to: zcload runs below it" in str(absent)


def test_without_openssl_a_server_with_tls_is_skipped(monkeypatch, tmp_path):
    """Where nothing can make a certificate the variant is skipped, with what helps."""
    monkeypatch.setenv("PATH", str(tmp_path))
    absent = missing("s", Server((sys.executable,), tls=True))
    assert str(absent) == "s: tls needs a certificate, and there is no openssl command to make one with (apt-get install openssl)"


def test_a_check_that_fails_is_quoted_with_its_hint():
    """A server whose check fails is missing: the reason has the check, its status and its last line, and the remedy is `install`."""
    absent = missing("s", checked("import no_such_package"))
    assert absent.reason == (
        f"its check `{sys.executable} -c 'import no_such_package'` ended with status 1; "
        "it said: ModuleNotFoundError: No module named 'no_such_package'"
    )
    assert absent.remedy == "pip install such"


def test_a_check_that_passes_is_run_once(tmp_path):
    """A check that ends with status 0 lets the server be tried, and is not run again for the next point; a failed one is."""
    once = checked(f"open({str(tmp_path / 'runs')!r}, 'a').write('x')")
    assert [missing("s", once) for _ in range(3)] == [None] * 3
    assert (tmp_path / "runs").read_text() == "x"
    again = checked(f"open({str(tmp_path / 'fails')!r}, 'a').write('x'); raise SystemExit(1)")
    assert all(missing("s", again) for _ in range(3))
    assert (tmp_path / "fails").read_text() == "xxx"


def test_a_check_has_the_servers_environment():
    """Its variables are there but for those with a placeholder that only the start fills in."""
    code = "import os; raise SystemExit((os.environ.get('GIVEN'), os.environ.get('LATER')) != ('yes', None))"
    assert missing("s", checked(code, environment={"GIVEN": "yes", "LATER": "{dir}"})) is None


@pytest.mark.parametrize(
    ("check", "why"),
    [
        (("no-such-program",), "could not be started: no such file or directory"),
        (("sleep", "60"), "took more than 0.2 s"),
        (("sh", "-c", "kill -9 $$"), "was killed by signal 9; it said: nothing"),
    ],
    ids=["no program", "hangs", "killed"],
)
def test_a_check_that_does_not_end_well_is_no_crash(check, why, monkeypatch):
    """A check that cannot be started, hangs or is killed makes the server missing too."""
    monkeypatch.setattr(availability, "CHECK_S", 0.2)
    assert missing("s", Server((sys.executable,), check=check)).reason.endswith(why)


def test_a_check_knows_nothing_of_the_start():
    """A placeholder other than {python} in a check is a config error, and so is a check of a server that runs already."""
    text = "[study]\nname='s'\nbaseline='read_send'\nvariants=['read_send']\n[[variant]]\nname='x'\nkind='server'\n"
    with pytest.raises(ConfigError, match=r"\.check: \{dir\} has no value before the server starts \(only \{python\} works here"):
        config.loads(text + "command=['x']\ncheck=['{python}', '{dir}/x']\n")
    with pytest.raises(ConfigError, match=r"\.check: only works with a command"):
        config.loads(f"{text}attach=1\nport=80\ncheck=['true']\n[workload]\nfile='/x'\n")


@pytest.mark.parametrize("variant", PYTHON_SERVERS)
def test_presets_look_for_packages(variant):
    """Every preset server that pip installs has a check that imports all packages its hint names, so that none is started without one."""
    packages = set(variant["install"].split("pip install ")[1].split())
    imported = variant["check"][-1].removeprefix("import ").replace(",", " ").replace(".", " ").split()
    assert packages <= set(imported)
