"""The copies that mechanisms and sinks declare are those that their documents draw."""

from __future__ import annotations

import re

import pytest
from support.paths import DOCS

from zcload.mechanisms import MECHANISMS, RELAYS, mechanism_called
from zcload.sinks import SINKS


def row_of(page, name):
    """Return the cells of the first table row of a page that begins with a name."""
    (row,) = re.findall(rf"^\| `{name}` \|(.*)\|$", (DOCS / page).read_text(encoding="utf-8"), re.MULTILINE)[:1]
    return [cell.strip() for cell in row.split("|")]


@pytest.mark.parametrize("name", [*(name for name, cls in MECHANISMS.items() if cls.moves_payload), *RELAYS])
def test_a_mechanisms_copies_are_the_documented_ones(name):
    """What a mechanism declares, to a card and on one machine, is what the overview of docs/mechanisms.md says, late copies too."""
    card, local = row_of("mechanisms.md", name)[:2]
    copies = mechanism_called(name).copies
    assert copies is not None
    assert (str(copies.card), str(copies.local)) == (card.split(",")[0], local.split(",")[0])
    assert ("late" in local) == ("late" in copies.note) == (copies.local > copies.card)


@pytest.mark.parametrize("name", SINKS)
def test_a_sinks_copies_are_the_documented_ones(name):
    """What a sink declares is what the table of docs/sinks.md says."""
    copies = SINKS[name].copies
    assert copies is not None
    assert copies.card == copies.local == int(row_of("sinks.md", name)[1].split()[0])


@pytest.mark.parametrize("name", [*MECHANISMS, *RELAYS])
def test_every_mechanism_has_its_section(name):
    """Each mechanism has a section of docs/mechanisms.md, its name in the list of them, and a path of the data drawn as text."""
    text = (DOCS / "mechanisms.md").read_text(encoding="utf-8")
    assert f"- [{name}](#{name})" in text
    section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
    assert not mechanism_called(name).moves_payload or re.search(r"^    \S.*--", section, re.MULTILINE)
