"""The types of config values: how each is read, checked, written back and described to an editor."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from zcload.config.finding import near_miss
from zcload.config.registries import file_form, refusal, with_absolute_path
from zcload.model.sizes import format_sizes, parse_sizes
from zcload.model.units import (
    DURATION_PATTERN,
    FREQUENCY_PATTERN,
    PERCENT_PATTERN,
    RATE_PATTERN,
    SIZE_PATTERN,
    ValueRefused,
    format_duration,
    format_frequency,
    format_percent,
    format_rate,
    format_size,
    parse_duration,
    parse_frequency,
    parse_percent,
    parse_rate,
    parse_size,
    shown,
)

Schema = dict[str, Any]


def _as_is(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class Kind:
    """One kind of value, for typing.Annotated: *parse* raises ValueRefused, *write* is its inverse, *schema* is its JSON Schema."""

    parse: Callable[[object], Any]
    schema: Callable[[], Schema]
    write: Callable[[Any], Any] = _as_is

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let pydantic validate and serialise with this kind alone."""
        return core_schema.no_info_plain_validator_function(
            self.parse, serialization=core_schema.plain_serializer_function_ser_schema(self.write)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        """Let pydantic describe the value as this kind does."""
        return self.schema()


@dataclass(frozen=True)
class Swept:
    """A value or a list of values, for Annotated[list[...]]: the model always holds a list."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Wrap a single value into a list, then check the list as a whole."""
        return core_schema.no_info_before_validator_function(
            lambda found: found if isinstance(found, list) else [found],
            core_schema.no_info_after_validator_function(_distinct, handler(source)),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        """Describe both forms."""
        many = handler(schema)
        return {"anyOf": [many["items"], {"type": "array", "items": many["items"], "minItems": 1, "uniqueItems": True}]}


def _distinct(values: list[Any]) -> list[Any]:
    if not values:
        raise ValueRefused("the list is empty: expected at least one value")
    first: dict[Any, int] = {}
    for index, value in enumerate(values, 1):
        if value in first:
            raise ValueRefused(f"value {index} of the list repeats value {first[value]}: list each value once")
        first[value] = index
    return values


def choice(*allowed: str) -> Kind:
    """One of some words."""

    def parse(found: object) -> str:
        if isinstance(found, str) and found in allowed:
            return found
        raise ValueRefused(f"{shown(found)} is not a known value: expected {_either(allowed)}", near_miss(found, allowed))

    return Kind(parse, lambda: {"enum": list(allowed)})


def registered(noun: str, names: Callable[[], tuple[str, ...]]) -> Kind:
    """Name something in a registry, read when it is needed."""

    def parse(found: object) -> str:
        known = names()
        if isinstance(found, str) and found in known:
            return found
        remedy = near_miss(found, known) or "`zcload mechanisms` lists them"
        raise ValueRefused(f"{shown(found)} is not a {noun}", remedy)

    return Kind(parse, lambda: {"enum": list(names())})


def mechanism(names: Callable[[], tuple[str, ...]], *, files: bool) -> Kind:
    """Name a registered mechanism or, with *files*, a class in a file: "my_send.py:MySend"; its path is made absolute."""
    by_name = registered("mechanism", names)

    def parse(found: object) -> str:
        if isinstance(found, str) and found not in names():
            if re.fullmatch(file_form(), found):
                if files:
                    return with_absolute_path(found)
                raise ValueRefused(f"{shown(found)} is a file", f"write a [[variant]] with mechanism = {shown(found)}")
            if (refused := refusal(found)) is not None:
                raise refused
        parsed: str = by_name.parse(found)
        return parsed

    return Kind(parse, lambda: mechanism_schema(names()) if files else by_name.schema())


def mechanism_schema(names: Sequence[str]) -> Schema:
    """Return the JSON Schema of one of the mechanisms *names*, or one in a file."""
    return {"anyOf": [{"enum": list(names)}, {"type": "string", "pattern": f"^{file_form()}$"}]}


def measured(parse: Callable[[object], Any], write: Callable[[Any], str], low: str, high: str, *, inside: bool = False) -> Kind:
    """Take a quantity with a unit from *low* to *high*, both written as text; *inside* leaves the two ends out."""
    pattern, examples = _UNIT_SCHEMAS[parse]
    bottom, top = parse(low), parse(high)
    fitting = [example for example in examples if bottom <= parse(example) <= top]

    def checked(found: object) -> Any:
        value = parse(found)
        if not (bottom < value < top if inside else bottom <= value <= top):
            limits = f"more than {low} and less than {high}" if inside else f"{low} to {high}"
            raise ValueRefused(f"{shown(found)} is out of range: expected {limits}")
        return value

    return Kind(checked, lambda: {"type": "string", "pattern": f"^(?:{pattern})$", "examples": fitting}, write)


_UNIT_SCHEMAS: dict[Callable[[object], Any], tuple[str, tuple[str, ...]]] = {
    parse_size: (SIZE_PATTERN, ("64KiB", "2.4GB", "512B")),
    parse_duration: (DURATION_PATTERN, ("250ms", "2s", "1m30s")),
    parse_percent: (PERCENT_PATTERN, ("3%", "0.5%")),
}

RATE = Kind(
    parse_rate, lambda: {"type": "string", "pattern": f"^(?:{RATE_PATTERN})$", "examples": ["max", "10Gbit/s", "500MB/s"]}, format_rate
)


def size(low: str, high: str) -> Kind:
    """Return the kind of a size from *low* to *high*."""
    return measured(parse_size, format_size, low, high)


def duration(low: str, high: str) -> Kind:
    """Return the kind of a duration from *low* to *high*."""
    return measured(parse_duration, format_duration, low, high)


def percent(low: str, high: str) -> Kind:
    """Return the kind of a percentage between *low* and *high*, neither of them."""
    return measured(parse_percent, format_percent, low, high, inside=True)


def or_word(word: str, kind: Kind, *, stands_for: Any = None) -> Kind:
    """Return *kind* with one more value: the text *word*, which stands for *stands_for*."""

    def parse(found: object) -> Any:
        if found == word:
            return stands_for
        try:
            return kind.parse(found)
        except ValueRefused as refused:
            remedy = near_miss(found, (word,)) or refused.remedy
            raise ValueRefused(f"{refused.what}, or '{word}'", remedy) from None

    def write(value: Any) -> Any:
        return word if value == stands_for else kind.write(value)

    return Kind(parse, lambda: {"anyOf": [{"const": word}, kind.schema()]}, write)


def whole(low: int, high: int) -> Kind:
    """Return the kind of a whole number from *low* to *high*."""

    def parse(found: object) -> int:
        if type(found) is not int:
            remedy = f"write {found}, without quotes" if isinstance(found, str) and re.fullmatch(r"[0-9]{1,9}", found) else None
            raise ValueRefused(f"{shown(found)} is not a whole number: expected {low} to {high}", remedy)
        if not low <= found <= high:
            raise ValueRefused(f"{shown(found)} is out of range: expected {low} to {high}")
        return found

    return Kind(parse, lambda: {"type": "integer", "minimum": low, "maximum": high})


def _parse_flag(found: object) -> bool:
    if isinstance(found, bool):
        return found
    remedy = {"yes": "true", "on": "true", "true": "true", "no": "false", "off": "false", "false": "false"}.get(str(found).lower()[:9])
    raise ValueRefused(f"{shown(found)} is not a boolean: expected true or false", f"write {remedy}, without quotes" if remedy else None)


FLAG = Kind(_parse_flag, lambda: {"type": "boolean"})


def text(what: str, pattern: str, *examples: str, expected: str, numbers: bool = False) -> Kind:
    """Return the kind of a text that must match *pattern* throughout; *what* it is and what is *expected* go into the refusal.

    With *numbers* a whole number is taken too.
    """

    def parse(found: object) -> Any:
        if numbers and type(found) is int:
            return found
        # A line break or a lone surrogate would break a table, a file name or a stream further on.
        if not isinstance(found, str) or not re.fullmatch(pattern, found) or not found.isprintable():
            remedy = f"write '{found}', in quotes" if type(found) is int and 0 <= found < 10**9 else None
            raise ValueRefused(f"{shown(found)} is not {what}: expected {expected}", remedy)
        return found

    schema = {"type": ["string", "integer"] if numbers else "string", "pattern": f"^(?:{pattern})$", "examples": list(examples)}
    return Kind(parse, lambda: dict(schema))


def _parse_address(found: object) -> str:
    refused = f"{shown(found)} is not an IP address or a host name: expected text such as '127.0.0.1', '::1' or 'server.example'"
    if not isinstance(found, str) or len(found) > 253:
        raise ValueRefused(refused)
    try:
        ipaddress.ip_address(found)
    except ValueError:
        bare = re.fullmatch(r"\[(.+)\]|([^:]+):[0-9]+", found)
        # A last label of digits alone is a mistyped IPv4 address: no top-level domain is a number (RFC 3696, 2).
        if not re.fullmatch(HOST_NAME, found) or found.rpartition(".")[2].isdigit():
            raise ValueRefused(refused, f"'{bare[1] or bare[2]}', and put the port into workload.port" if bare else None) from None
    return found


_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOST_NAME = rf"{_LABEL}(?:\.{_LABEL})*"

ADDRESS = Kind(_parse_address, lambda: {"type": "string", "minLength": 1, "maxLength": 253, "examples": ["127.0.0.1", "::1"]})


LEAST_FREQUENCY, MOST_FREQUENCY = 0.1, 1e6  # files a second: fewer are no load, and one core of Linux does not do more


def _parse_transfer_rate(found: object) -> float | None:
    rate = parse_frequency(found)
    if rate is not None and not LEAST_FREQUENCY <= rate <= MOST_FREQUENCY:
        raise ValueRefused(f"{shown(found)} is out of range: expected 0.1/s to 1000000/s, or 'max'")
    return rate


TRANSFER_SIZE = Kind(
    parse_sizes,
    lambda: {
        "type": "string",
        "pattern": f"^(?:{SIZE_PATTERN}|mix: *(?:{SIZE_PATTERN})(?: +(?:{SIZE_PATTERN}))+ *|file: *[^ ].*)$",
        "examples": ["16KiB", "mix: 4KiB 4KiB 1MiB", "file: sizes.txt"],
    },
    format_sizes,
)
TRANSFER_RATE = Kind(
    _parse_transfer_rate,
    lambda: {"type": "string", "pattern": f"^(?:{FREQUENCY_PATTERN})$", "examples": ["max", "500/s"]},
    format_frequency,
)


def _either(words: tuple[str, ...]) -> str:
    quoted = [f"'{word}'" for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
