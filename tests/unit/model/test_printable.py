"""Text from elsewhere becomes safe to show, and text that is safe stays as it is."""

from __future__ import annotations

import shlex
import sys
import unicodedata

import pytest

from zcload.model.printable import one_line, printable, typed


def test_no_control_character_is_left():
    """Of all characters none of the category of controls is left but tab and line end; letters, signs and spaces stay."""
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        shown = printable(character)
        if unicodedata.category(character) in ("Cc", "Cs") and character not in "\t\n":
            assert shown.startswith("\\"), hex(code)
            assert shown.isascii()
        elif unicodedata.category(character)[0] in "LMNPSZ":
            assert shown == character, hex(code)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b31m", r"\x9b31m"),
        ("a\rb\x08", r"a\rb\x08"),
        ("name\udcff.bin", r"name\xff.bin"),
        ("\ud800", r"\ud800"),
        ("\u202egnp", r"\u202egnp"),
        ("größe ±\t日\n", "größe ±\t日\n"),
    ],
)
def test_examples(text, shown):
    """Escapes name the character as Python does; a byte that is no UTF-8 is shown as that byte."""
    assert printable(text) == shown


def test_one_line():
    """Line ends become spaces, so that a message stays one line."""
    assert one_line("a\n  b\r\nc\x1b") == r"a b c\x1b"


@pytest.mark.parametrize("path", ["results/a", "my results/a", "it's", "$HOME", "a;b", "größe"])
def test_a_path_is_typed_so_that_a_shell_reads_it_back(path):
    """What is to be typed for a path is one word to a shell, the path itself; a plain path stays as it is."""
    assert shlex.split(typed(path)) == [path]
    assert typed("results/2026-11-29T07:00:00Z-smoke") == "results/2026-11-29T07:00:00Z-smoke"
