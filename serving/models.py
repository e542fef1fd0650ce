"""What the HTTP interface takes and gives, as types: validation and OpenAPI are made of these.

Decoding refuses unknown fields and every value that does not fit; it converts nothing.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from domain.events import Locale, Signal

END = r"$(?!\n)"
"""The end of a text in JSON Schema's dialect and in Python's, where `$` allows a line end."""

Id = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=128,
        pattern=rf"^[A-Za-z0-9._:-]+{END}",
        description="1 to 128 of A-Z a-z 0-9 . _ : -",
    ),
]
AnswerId = Annotated[
    str,
    Meta(
        pattern=rf"^[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}{END}",
        description="the event_id that came with the answer, a UUID",
    ),
]
Message = Annotated[str, Meta(min_length=1, max_length=4000, description="The question")]

MAX_EVENTS = 500


class ChatRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A question; sent again with its `message_id` it is the same turn of the session."""

    session_id: Id
    message: Message
    locale: Locale | None = None
    message_id: Id | None = None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One title of an answer; what is unknown is null.

    In a Japanese answer authors, genres and demographics also have their Japanese names, where
    these are known.
    """

    id: str
    title: str
    title_ja: str | None
    authors: list[str] | None
    genres: list[str] | None
    demographic: list[str] | None
    published_from: str | None
    score: float | msgspec.UnsetType = msgspec.UNSET
    authors_ja: list[str] | msgspec.UnsetType = msgspec.UNSET
    genres_ja: list[str] | msgspec.UnsetType = msgspec.UNSET
    demographic_ja: list[str] | msgspec.UnsetType = msgspec.UNSET


class AnswerBody(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown to the customer."""

    text: str
    items: list[Item]
    kind: Literal[
        "trending", "new_releases", "genre", "title", "recommendation", "chat", "fallback"
    ]
    locale: Locale


class ChatReply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with where it comes from and how old it is."""

    answer: AnswerBody
    generated_at: Annotated[
        str, Meta(description="RFC 3339", extra_json_schema={"format": "date-time"})
    ]
    version: Annotated[int, Meta(description="Of the stored answer; 0 for a built-in one", ge=0)]
    source: Literal["precomputed", "cache", "model", "stale", "fallback"]
    age_seconds: Annotated[float, Meta(ge=0)]
    event_id: str


class Interaction(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a customer did with a title; the same `event_id` counts once."""

    event_id: Id
    type: Literal["view", "cart", "purchase", "read", "rating"]
    item_id: Id
    user_id: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=255,
            pattern=f"^[!-~]+{END}",
            description="1 to 255 of the visible characters of ASCII",
        ),
    ]
    occurred_at: Annotated[datetime, Meta(tz=True, description="RFC 3339, with its offset")]
    value: Annotated[float, Meta(ge=0, le=10, description="Stars, for a rating only")] | None = None


class InteractionsRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """1 to 500 interactions; a wrong one does not spoil the others."""

    events: Annotated[list[Interaction], Meta(min_length=1, max_length=MAX_EVENTS)]


class RawInteractions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same before the interactions are looked at one by one."""

    events: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=MAX_EVENTS)]


class RejectedInteraction(msgspec.Struct, frozen=True, kw_only=True):
    """An interaction that was not taken; `index` counts from 0."""

    index: int
    reason: str


class InteractionsReply(msgspec.Struct, frozen=True, kw_only=True):
    """How many interactions are stored, and which are not."""

    accepted: int
    rejected: list[RejectedInteraction]


class FeedbackRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the caller thinks of an answer; `event_id` is the answer's."""

    session_id: Id
    event_id: AnswerId
    signal: Signal
    comment: Annotated[str, Meta(max_length=500)] | None = None


class FeedbackReply(msgspec.Struct, frozen=True, kw_only=True):
    """It is stored, as this event."""

    event_id: str


class TurnView(msgspec.Struct, frozen=True, kw_only=True):
    """One question and the beginning of its answer."""

    message_id: str
    question: str
    answer_preview: str
    at: Annotated[str, Meta(description="RFC 3339", extra_json_schema={"format": "date-time"})]
    retracted: (
        Annotated[
            bool,
            Meta(description="True where the answer was taken back: the preview says so instead"),
        ]
        | msgspec.UnsetType
    ) = msgspec.UNSET


class SessionReply(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation, oldest turn first."""

    session_id: str
    turns: list[TurnView]
    summary: str | msgspec.UnsetType = msgspec.UNSET


class Liveness(msgspec.Struct, frozen=True, kw_only=True):
    """The process runs."""

    status: Literal["ok"] = "ok"


class Checks(msgspec.Struct, frozen=True, kw_only=True):
    """What must be true before the process may take traffic, and what should be."""

    redis: bool
    catalogue: bool
    answers: bool
    keys: bool
    classifier: bool
    warm: bool
    soft: Annotated[
        dict[str, bool],
        Meta(description="Dependencies without which the process takes traffic, degraded"),
    ]


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the process may take traffic."""

    ready: bool
    checks: Checks
    catalogue: Annotated[
        str, Meta(description="The version of the catalogue that this process answers from")
    ] = ""
