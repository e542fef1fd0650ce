"""What of a body is not as its type says, for whoever wrote it: where, and what belongs there.

Of the library's own words only the place is taken, and whether a field is missing or unknown; what
must stand there is told by the type. No value of the body is repeated.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import inspect

from serving.problems import Misfit

MAX_NAME_CHARS = 64
"""So much of the name of an unknown field is repeated."""

_PLACE = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
_FIELD = re.compile(r"^Object (missing required|contains unknown) field `(.*)`$", re.DOTALL)
_BYTE = re.compile(r"\(byte (\d+)\)$")


def misfit(error: msgspec.ValidationError, wanted: Any) -> Misfit:
    """What was wrong in decoding the type."""
    message = str(error)
    place = _PLACE.search(message)
    steps = [name or number for name, number in _STEP.findall(place["path"])] if place else []
    field = _FIELD.match(_PLACE.sub("", message))
    if field is None:
        must = _must(tuple(steps), wanted)
        return Misfit(_pointer(steps), f"{'.'.join(steps) or 'the body'} must be {must}")
    steps.append(field[2][:MAX_NAME_CHARS])
    what = "is missing" if field[1] == "missing required" else "is not a known field"
    return Misfit(_pointer(steps), f"{'.'.join(steps)} {what}")


def why_not(error: Exception, wanted: Any) -> str:
    """Why bytes that should have been the type are not."""
    if isinstance(error, msgspec.ValidationError):
        return misfit(error, wanted).detail
    return broken_json(error)


def broken_json(error: Exception) -> str:
    """Where a body ceases to be JSON."""
    if isinstance(error, UnicodeDecodeError):
        return "the body is not in UTF-8"
    if isinstance(error, RecursionError):
        return "the body is nested too deeply"
    place = _BYTE.search(str(error))
    return f"the body is not JSON from byte {place[1]} on" if place else "the body is not JSON"


def _pointer(steps: list[str]) -> str:
    """RFC 6901, sections 3 and 6."""
    escaped = (step.replace("~", "~0").replace("/", "~1") for step in steps)
    return "#" + "".join(f"/{quote(step, safe='')}" for step in escaped)


@lru_cache(maxsize=256)
def _must(steps: tuple[str, ...], wanted: Any) -> str:
    """What must stand at this place of the type."""
    found = [inspect.type_info(wanted)]
    for step in steps:
        found = [inner for each in found for inner in _inside(each, step)]
    words = dict.fromkeys(text for each in found for text in _words(each))
    *others, last = words or ["something else"]
    return f"{', '.join(others)} or {last}" if others else last


def _inside(info: inspect.Type, step: str) -> Iterator[inspect.Type]:
    """The types of what stands under this name or number."""
    for each in _choices(info):
        match each:
            case inspect.StructType(tag_field=tag_field, tag=str(tag)) if tag_field == step:
                yield inspect.LiteralType((tag,))
            case inspect.StructType(fields=fields):
                yield from (field.type for field in fields if field.encode_name == step)
            case inspect.ListType(item_type=item):
                yield item


def _choices(info: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(info, inspect.UnionType):
        for one in info.types:
            yield from _choices(one)
    elif isinstance(info, inspect.Metadata) and not _is_described(info):
        yield from _choices(info.type)
    else:
        yield info


def _is_described(info: inspect.Metadata) -> bool:
    """Whether the description says what the type cannot: what a pattern means."""
    described = "description" in (info.extra_json_schema or {})
    return described and isinstance(info.type, inspect.StrType) and info.type.pattern is not None


def _words(info: inspect.Type) -> Iterator[str]:
    for each in _choices(info):
        match each:
            case inspect.Metadata(extra_json_schema=dict(schema)):
                yield str(schema["description"])
            case inspect.LiteralType(values=values):
                yield from (f'"{value}"' for value in values)
            case inspect.NoneType():
                yield "null"
            case _:
                yield _kind(each)


_PLAIN = {
    inspect.BoolType: "true or false",
    inspect.DateTimeType: "a time as in RFC 3339, with its offset",
    inspect.StructType: "an object",
}


def _kind(info: inspect.Type) -> str:
    match info:
        case inspect.StrType(min_length=least, max_length=most):
            return f"a text{_span(least, most, ' of', ' characters')}"
        case inspect.ListType(min_length=least, max_length=most):
            return f"a list{_span(least, most, ' of', ' entries')}"
        case inspect.FloatType(ge=least, le=most) | inspect.IntType(ge=least, le=most):
            return f"a number{_span(least, most, ' from')}"
    return _PLAIN.get(type(info), "something else")


def _span(least: float | None, most: float | None, between: str, unit: str = "") -> str:
    if least is not None and most is not None:
        return f"{between} {least:g} to {most:g}{unit}"
    if most is not None:
        return f" of at most {most:g}{unit}"
    return "" if least is None else f" of at least {least:g}{unit}"
