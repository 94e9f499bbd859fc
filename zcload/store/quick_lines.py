"""Decode the lines that a result has most of, in a third of the time, and check a summary in a tenth: by msgspec, from the same types.

It only ever accepts: what msgspec refuses, the codec looks at again and refuses with file, line and key. msgspec stops at the first
fault and cannot name several, so it does not replace pydantic.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, reduce
from operator import or_
from threading import Lock
from types import GenericAlias, UnionType
from typing import TYPE_CHECKING, Annotated, NotRequired, Union, cast, get_args, get_origin

from annotated_types import Ge, Le, Len
from typing_extensions import TypedDict, get_type_hints, is_typeddict

from zcload.model.records.lines import Measurement
from zcload.model.records.measurements import Block, GenerationLine, Idle, Reports, Sample, SamplerCost, Window
from zcload.model.records.summary import Summary

if TYPE_CHECKING:
    from msgspec import Meta

_making = Lock()  # msgspec crashes when two threads make decoders of the same types
_BEGIN = b'{"kind":"'  # the lines of this writer; others take the codec's long way


def quick_line(data: bytes) -> Measurement | Idle | None:
    """Return the measurement on a line; None if it is of another kind or anything is wrong with it. Unknown keys are left out."""
    if not data.startswith(_BEGIN):
        return None
    decode = _decoders().get(data[len(_BEGIN) : data.find(b'"', len(_BEGIN))])
    if decode is None:
        return None
    try:
        return decode(data)
    except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors, and so is text that is not UTF-8
        return None


def is_summary(data: bytes) -> bool:
    """Return True if *data* is a summary.json without a fault; False if pydantic has to look at it."""
    try:
        _summary_decoder()(data)
    except (ValueError, RecursionError):
        return False
    return True


@cache
def _summary_decoder() -> Callable[[bytes], object]:
    from msgspec.json import Decoder

    with _making:
        return cast(Callable[[bytes], object], Decoder(_translated(Summary)).decode)


@cache
def _decoders() -> dict[bytes, Callable[[bytes], Measurement | Idle]]:
    """Return the decoder of each kind of line, made once, in some milliseconds."""
    from msgspec.json import Decoder

    kinds = (Window, Block, Sample, SamplerCost, GenerationLine, Reports, Idle)
    made = {}
    with _making:
        for kind in kinds:
            (name,) = get_args(get_type_hints(kind)["kind"])
            made[name.encode()] = cast(Callable[[bytes], Measurement | Idle], Decoder(_translated(kind)).decode)
    return made


_typed_dict = cast(Callable[[str, dict[str, object]], object], TypedDict)


@cache
def _translated(hint: object) -> object:
    """Return the type *hint* with its bounds in msgspec's words."""
    origin, parts = get_origin(hint), get_args(hint)
    if is_typeddict(hint):
        keys = {key: _translated(each) for key, each in get_type_hints(hint, include_extras=True).items()}
        loose = getattr(hint, "__optional_keys__", frozenset[str]())  # all of a class with total=False
        return _typed_dict(
            "Line", {key: NotRequired[each] if key in loose and get_origin(each) is not NotRequired else each for key, each in keys.items()}
        )
    if origin is Annotated:
        return Annotated[_translated(parts[0]), _bounds(parts[1:])]
    if origin is NotRequired:
        return NotRequired[_translated(parts[0])]
    if origin in (list, dict):
        return GenericAlias(origin, tuple(map(_translated, parts)))
    if origin in (Union, UnionType):
        return reduce(or_, map(_translated, parts))
    return hint


def _bounds(marks: tuple[object, ...]) -> Meta:
    """Return the bounds of a number or a length; raises TypeError for one that has no counterpart."""
    from msgspec import Meta

    least: float | None = None
    most: float | None = None
    shortest: int | None = None
    longest: int | None = None
    for mark in marks:
        match mark:
            case Ge(ge=bound):
                least = cast(float, bound)
            case Le(le=bound):
                most = cast(float, bound)
            case Len(min_length=shortest, max_length=longest):
                pass
            case _:
                raise TypeError(f"no counterpart of {mark!r}")
    return Meta(ge=least, le=most) if shortest is None else Meta(min_length=shortest, max_length=longest)
