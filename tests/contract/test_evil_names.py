"""File names that programs get wrong, in a config and in everything that shows or stores one."""

from __future__ import annotations

import json
import os
import tomllib
import unicodedata

import pytest
from support.evil_names import CONTROL, FILE_NAMES, PRINTABLE
from support.fake_results import example, example_summary

from zcload import config
from zcload.config.write_toml import write_toml
from zcload.errors import ConfigError
from zcload.report import FORMATS, renderer
from zcload.store.reader import Result


def study(file):
    """Return a config that sends *file*."""
    return {"study": {"name": "names", "baseline": "read_send", "variants": ["read_send"]}, "workload": {"file": file}}


@pytest.mark.parametrize("name", PRINTABLE)
def test_a_config_keeps_the_name(name):
    """A path in a config is the path of the point, in the effective config too, and TOML written of it is read back the same."""
    path = f"/srv/{name}"
    loaded = config.loads(write_toml(study(path)))
    assert loaded.points[0].file == path
    assert config.loads(write_toml(loaded.config)).points[0].file == path
    assert tomllib.loads(write_toml(study(path))) == study(path)


@pytest.mark.parametrize("name", CONTROL)
def test_a_config_refuses_control_characters_in_one_line(name):
    """A name with a control character is refused by its key, in one printable line."""
    with pytest.raises(ConfigError) as caught:
        config.loads(write_toml(study(f"/srv/{name}")))
    assert "workload.file" in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_tilde_is_the_home_directory_only_where_a_path_begins(monkeypatch):
    """`~` and `~/file` lead to the home directory, as in a shell; a `~` further on is a character like any other."""
    monkeypatch.setenv("HOME", "/srv/somebody")
    for written, meant in (("~/a.bin", "/srv/somebody/a.bin"), ("~", "/srv/somebody"), ("/srv/~", "/srv/~"), ("a~b", "a~b")):
        assert config.loads(write_toml(study(written))).points[0].file == meant
        assert os.path.expanduser(written) == meant


DRAWN = ("html", "svg", "png")  # a second each: these get one name made of all


@pytest.mark.parametrize("format", FORMATS)
def test_a_report_shows_the_name_and_obeys_none_of_it(format):
    """Every format renders a result of a file of any name: UTF-8, no control character, and no mark-up of the name's own."""
    records = example(everything=False)
    summary = example_summary(everything=False)
    for name in ["".join(FILE_NAMES)] if format in DRAWN else FILE_NAMES:
        summary["points"][0]["point"]["file"] = summary["config"].setdefault("workload", {})["file"] = f"/srv/{name}"
        text = renderer(format)([Result(summary, None, records)])
        text.encode("utf-8")
        assert not [sign for sign in text if unicodedata.category(sign) == "Cc" and sign not in "\n\r\t"]
        if format == "html":
            assert "<b>&amp;.bin" not in text
        if format == "json":
            assert json.loads(text)["points"][0]["point"]["file"] == f"/srv/{name}"
