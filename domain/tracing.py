"""Traces: which request a piece of work belongs to, and the port that makes spans of it.

A span says what was done, when, and how it ended; never what was asked, nor by whom.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

MAX_LINKS = 32
"""Of one span; what is linked to more tells no more."""

Value = str | int | float | bool

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_XRAY_ROOT = re.compile(r"1-([0-9a-f]{8})-([0-9a-f]{24})")
_SPAN_ID = re.compile(r"[0-9a-f]{16}")
_SAMPLED = 1


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A span as other processes know it: its trace, itself, and whether it is kept."""

    trace_id: str
    span_id: str
    is_sampled: bool

    @classmethod
    def parse(cls, text: str | None) -> "TraceContext | None":
        """The context in a W3C `traceparent`; None where it is none."""
        found = _TRACEPARENT.fullmatch(text) if text else None
        if found is None or not _are_ids(found[1], found[2]):
            return None
        return cls(found[1], found[2], bool(int(found[3], 16) & _SAMPLED))

    @classmethod
    def parse_xray(cls, header: str) -> "TraceContext | None":
        """The context in X-Ray's trace header; None where it leaves parent or decision open."""
        fields = dict(part.strip().partition("=")[::2] for part in header.split(";"))
        root = _XRAY_ROOT.fullmatch(fields.get("Root", ""))
        parent, sampled = fields.get("Parent", ""), fields.get("Sampled")
        if root is None or not _SPAN_ID.fullmatch(parent) or sampled not in {"0", "1"}:
            return None
        trace_id = root[1] + root[2]
        return cls(trace_id, parent, sampled == "1") if _are_ids(trace_id, parent) else None

    def xray(self) -> str:
        """The same as X-Ray's trace header."""
        root = f"1-{self.trace_id[:8]}-{self.trace_id[8:]}"
        return f"Root={root};Parent={self.span_id};Sampled={self.is_sampled:d}"

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.is_sampled:02x}"


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where the span of a piece of work belongs: in one trace, or only linked to several."""

    parent: TraceContext | None
    links: Sequence[TraceContext]


def lineage(traceparents: Iterable[str | None]) -> Lineage | None:
    """Where work for all of these belongs; None where none of them is kept.

    What is done for one trace alone is a part of it. Where a pack mixes them it is no part of any.
    """
    contexts = [TraceContext.parse(text) for text in dict.fromkeys(traceparents)]
    kept = [context for context in contexts if context is not None and context.is_sampled]
    if not kept:
        return None
    is_one = len(kept) == len(contexts) and len({context.trace_id for context in kept}) == 1
    return Lineage(kept[0] if is_one else None, kept[:MAX_LINKS])


class Role(StrEnum):
    """What a span does with a message, or a request."""

    SERVER = "server"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class Span(Protocol):
    """A span that is under way; times are `time.perf_counter`'s."""

    @property
    def traceparent(self) -> str:
        """What the span is known by elsewhere."""
        ...

    def part(self, name: str, began: float, ended: float, failure: str = "") -> None:
        """Add a child that has ended; `failure` is the class of what went wrong."""
        ...

    def end(self, attributes: Mapping[str, Value], failure: str = "") -> None:
        """End it now, once."""
        ...


class Traces(Protocol):
    """Where spans go, later and in the background; what finds no room is dropped. Never raises."""

    def begin(
        self,
        name: str,
        role: Role,
        *,
        parent: TraceContext | None = None,
        links: Sequence[TraceContext] = (),
        began: float | None = None,
    ) -> Span:
        """Begin a span, or say that it began before; it is kept, whatever its parent says."""
        ...

    def close(self) -> None:
        """Send what is left, within a second or so."""
        ...


def _are_ids(trace_id: str, span_id: str) -> bool:
    return trace_id.strip("0") != "" and span_id.strip("0") != ""
