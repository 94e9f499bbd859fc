"""`zcload init`, and `zcload` alone."""

from __future__ import annotations

import json

import pytest
from support.command_line import invoke

from zcload import config
from zcload.config.shipped import shipped_configs


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", shipped_configs())
def test_a_copied_config_names_itself_and_its_schema(name, capsys, tmp_path):
    """A copied config is found by the last part of its name, names its own file, links the schema beside it, and is the same study."""
    source = shipped_configs()[name]
    last = name.rpartition("/")[2]
    done = invoke(capsys, "init", name if last in shipped_configs() else last)
    assert done.code == 0, done.err
    copy = tmp_path / source.name
    text = copy.read_text()
    assert "configs/" not in text
    assert f"zcload run {source.name}" in text
    assert text.splitlines()[0] in ("#:schema ./zcload.schema.json", "# yaml-language-server: $schema=./zcload.schema.json")
    assert json.loads((tmp_path / "zcload.schema.json").read_text()) == config.json_schema()
    assert config.load(copy) == config.load(source)


def test_a_schema_that_is_somebody_elses_is_left_alone(capsys, tmp_path):
    """`zcload init` renews its own schema file, and leaves another file of that name as it is and says so."""
    schema = tmp_path / "zcload.schema.json"
    for theirs in ("{}", "no JSON"):
        schema.write_text(theirs)
        assert "not written by zcload" in invoke(capsys, "init", "smoke").out
        assert schema.read_text() == theirs
        (tmp_path / "smoke.toml").unlink()
    schema.write_text('{"title": "zcload config"}')
    invoke(capsys, "init", "smoke")
    assert json.loads(schema.read_text()) == config.json_schema()


def test_an_existing_config_is_left_as_it_is(capsys, tmp_path):
    """`zcload init` does not overwrite."""
    (tmp_path / "smoke.toml").write_text("mine")
    done = invoke(capsys, "init")
    assert (done.code, (tmp_path / "smoke.toml").read_text()) == (2, "mine")
    assert "already exists" in done.err


def test_an_unknown_config_is_answered_with_the_nearest(capsys):
    """`zcload init ngin` asks whether nginx was meant."""
    assert "did you mean 'nginx'?" in invoke(capsys, "init", "ngin").err


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_zcload_alone_prints_help(arguments, capsys):
    """`zcload` without a command prints its help on stdout and nothing on stderr; exit code 0."""
    done = invoke(capsys, *arguments)
    assert (done.code, done.err) == (0, "")
    assert all(command in done.out for command in ("run", "send", "compare", "init"))
