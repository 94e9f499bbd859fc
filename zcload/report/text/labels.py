"""Labels beside a variant's figures, in every format, such as "copied: not a zero-copy result"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zcload.analysis.zerocopy_check import NOT_ZERO_COPY


def label(variant: Mapping[str, Any]) -> str | None:
    """Return the label of a variant; None for most. Results of versions without a truth meter have the copied fraction alone."""
    if "truth" in variant:
        found: str | None = variant["truth"]["label"]
        return found
    return NOT_ZERO_COPY if variant.get("copied_fraction") == 1.0 else None


def labels(point: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of a point's variants by name, of those that have one."""
    return {variant["name"]: found for variant in point["variants"] if (found := label(variant))}


def in_a_cell(name: str, said: Mapping[str, str]) -> str:
    """Return a variant's name for a table, with its label on a line of its own."""
    return f"{name}\n[{said[name]}]" if name in said else name


def in_a_sentence(name: str, said: str | None) -> str:
    """Return a variant's name for a sentence, with its label."""
    return f"{name} ({said})" if said else name
