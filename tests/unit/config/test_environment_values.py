"""The values of a server's environment are used and never stored: a stored config has names, and errors name the variable."""

from __future__ import annotations

import pytest

from zcload.config import from_tree, loads
from zcload.errors import ConfigError
from zcload.model.placeholders import only_placeholders
from zcload.runner.preflight import check_host

STUDY = """
[study]
name = "s"
baseline = "read_send"
variants = ["read_send"]
[[variant]]
name = "served"
kind = "server"
command = ["x", "{port}"]
"""
SECRET = "hunter2-{port}"


def test_a_stored_config_has_names_and_not_values():
    """The effective config keeps texts that are placeholders alone and says true for all others; what the server gets is whole."""
    given = f'environment = {{ TOKEN = "{SECRET}", HOME = "{{dir}}", LISTEN = "{{address}}:{{port}}", THREADS = "1", PATH = true }}'
    study = loads(STUDY + given)
    stored = study.config["variant"][1]["environment"]
    assert stored == {"TOKEN": True, "HOME": "{dir}", "LISTEN": "{address}:{port}", "THREADS": True, "PATH": True}
    server = study.variants[1].server
    assert server.environment == {"TOKEN": SECRET, "HOME": "{dir}", "LISTEN": "{address}:{port}", "THREADS": "1"}
    assert server.passed_on == ("PATH",)
    assert "hunter2" not in repr(study)


def test_a_stored_config_asks_for_the_variables_it_names(monkeypatch):
    """A stored config takes the variables from zcload's environment; those that are missing are named before anything is measured."""
    again = from_tree(loads(STUDY + 'environment = { ZC_TOKEN = "hunter2", ZC_KEY = "hunter3" }').config)
    monkeypatch.delenv("ZC_TOKEN", raising=False)
    monkeypatch.setenv("ZC_KEY", "hunter3")
    assert again.variants[1].server.passed_on == ("ZC_TOKEN", "ZC_KEY")
    with pytest.raises(ConfigError) as refused:
        check_host(again, ())
    assert str(refused.value) == (
        "variant[served].environment: ZC_TOKEN is not set: results keep names of variables, not values (export ZC_TOKEN=...)"
    )


@pytest.mark.parametrize(
    "value", ["hunter2", '["hunter2"]', '{ A = ["hunter2"] }', '{ A = "hunter2{nonsense}" }', '{ A = "hunter2\\u0000" }']
)
def test_no_error_shows_a_value(value):
    """Whatever is wrong with the table, the error names the variable and not its text."""
    value = f'"{value}"' if value == "hunter2" else value
    with pytest.raises(ConfigError) as refused:
        loads(STUDY + f"environment = {value}")
    assert "hunter2" not in str(refused.value)
    assert "environment" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "is_so"),
    [("{dir}", True), ("{address}:{port}", True), ("{dir}/{name}", True), ("", True), ("1", False), ("{dir}x", False), ("{{dir}}", False)],
)
def test_what_consists_of_placeholders(text, is_so):
    """Placeholders joined by colons and slashes tell nothing; any other character may be part of a secret."""
    assert only_placeholders(text) is is_so
