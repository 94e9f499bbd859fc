"""No config whatever gives a traceback: text, bytes and trees that hypothesis makes up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zcload import config
from zcload.errors import ConfigError
from zcload.model.study import Study

CONFIGS = {
    "toml": '[study]\nname = "s"\nbaseline = "read_send"\nvariants = ["read_send"]\n',
    "yaml": "study: {name: s, baseline: read_send, variants: [read_send]}\nworkload:\n  chunk: [64KiB, 256KiB]\n",
}
WORDS = "study workload stop variant name mechanism kind chunk senders variants baseline read_send auto server 64K nan 1e999"
SIGNS = [
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    ":",
    "=",
    ",",
    "\n",
    "\n  ",
    "- ",
    ".",
    '"',
    "'",
    "'''",
    "#",
    "? ",
    "| ",
    "~",
    "\t",
    "\x00",
    "\u2028",
]
YAML_SIGNS = ["&a ", "*a", "<<: ", "!!set ", "!!omap ", "!!binary ", "%YAML 1.1\n", "---\n", "\ud800", "é"]
TEXTS = st.lists(st.sampled_from([*WORDS.split(), *SIGNS, *YAML_SIGNS]), max_size=25).map("".join) | st.text(max_size=40)
KEYS = st.sampled_from(WORDS.split())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def outcome(load: Callable[[], Study]) -> Study | ConfigError:
    try:
        return load()
    except ConfigError as error:
        return error


@settings(max_examples=150)
@given(TEXTS, st.sampled_from(["toml", "yaml"]))
def test_any_text_is_a_study_or_a_config_error(text, format):
    """Whatever the text, alone and at the end of a config, the worst is a ConfigError whose problems have a line each."""
    for whole in (text, CONFIGS[format] + text):
        result = outcome(lambda whole=whole: config.loads(whole, format, "c"))
        assert isinstance(result, Study) or len(str(result).splitlines()) == len(result.problems) > 0


@settings(max_examples=150)
@given(st.dictionaries(KEYS, VALUES, max_size=4), st.lists(TEXTS, max_size=2))
def test_any_tree_is_a_study_or_a_config_error(tree, overrides):
    """Whatever stands where in the tree and whatever is laid over it, the checks across keys never break."""
    result = outcome(lambda: config.from_tree(tree, overrides=overrides))
    assert isinstance(result, Study) or len(str(result).splitlines()) == len(result.problems) > 0


@settings(max_examples=150)
@given(content=st.binary(max_size=60), suffix=st.sampled_from(["toml", "yaml"]))
def test_any_bytes_are_a_config_error(tmp_path_factory, content, suffix):
    """A file of any few bytes is refused without a traceback."""
    path = tmp_path_factory.getbasetemp() / f"fuzz.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        config.load(path)
