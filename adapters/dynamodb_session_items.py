"""What a session is as an item of DynamoDB, and how much of it one write and one item hold.

Key `session_id`; attributes `owner`, `turns`, a map by event id, `updated_at`, `expires_at` (the
table's TTL, epoch seconds), `pruned_through`, the place of the newest turn that was dropped, so
that a late duplicate of a dropped turn does not come back, `summary` with `summarised_through`, the
place of the newest turn that it covers, `retractions`, and `revision`: microseconds since 1970 of
the last change, or one more than before where that is later. Items stay below 400 KB.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from adapters.dynamodb_values import number
from domain.sessions import MAX_TURNS, Session, Turn, once

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    Attributes = Mapping[str, AttributeValueTypeDef]

WRITE_BYTES = 64 * 1024
KEPT_BYTES = 280 * 1024
"""Together with one write and the names this stays below the 400 KB of an item."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A session's item."""

    session: Session
    expires_at: float
    pruned_through: str


@dataclass(slots=True)
class Update:
    """The parts of an update expression, filled in as needed."""

    sets: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    values: dict[str, "AttributeValueTypeDef"] = field(default_factory=dict)

    @property
    def expression(self) -> str:
        """What is set and removed."""
        removing = " REMOVE " + ", ".join(self.removed) if self.removed else ""
        return "SET " + ", ".join(self.sets) + removing

    def stamped(self, revision: int) -> "Update":
        """The same, making this the revision under the condition that it is a greater one."""
        return replace(
            self,
            sets=[*self.sets, "revision = :revision"],
            conditions=[
                *self.conditions,
                "(attribute_not_exists(revision) OR revision < :revision)",
            ],
            values={**self.values, ":revision": {"N": str(revision)}},
        )

    def counted(self) -> "Update":
        """The same, making the revision one more than it is."""
        return replace(
            self,
            sets=[*self.sets, "revision = revision + :next"],
            values={**self.values, ":next": {"N": "1"}},
        )


def adding(turns: Sequence[Turn]) -> Update:
    """What adds the turns that are not there yet."""
    update = Update()
    for at, turn in enumerate(turns):
        update.sets.append(f"turns.#{at} = if_not_exists(turns.#{at}, :{at})")
        update.names[f"#{at}"] = turn.event_id
        update.values[f":{at}"] = attributes(turn)
    return update


def answering(turns: Sequence[Turn]) -> Update:
    """What gives their answers to turns that are there without one."""
    update = Update(values={":none": {"S": ""}})
    for at, turn in enumerate(turns):
        update.sets.append(f"turns.#{at}.answer_preview = :{at}")
        if turn.answer_id:
            update.sets.append(f"turns.#{at}.answer_id = :id{at}")
            update.values[f":id{at}"] = {"S": turn.answer_id}
        update.conditions.append(f"turns.#{at}.answer_preview = :none")
        update.names[f"#{at}"] = turn.event_id
        update.values[f":{at}"] = {"S": turn.answer_preview}
    return update


def retracting(event_id: str, answer_id: str, note: str) -> Update:
    """What puts a note in place of this answer of a turn, once."""
    return Update(
        sets=[
            "turns.#turn.answer_preview = :note",
            "turns.#turn.is_retracted = :yes",
            "retractions = if_not_exists(retractions, :zero) + :one",
        ],
        conditions=[
            "turns.#turn.answer_id = :answer",
            "attribute_not_exists(turns.#turn.is_retracted)",
        ],
        names={"#turn": event_id},
        values={
            ":note": {"S": note},
            ":yes": {"BOOL": True},
            ":zero": {"N": "0"},
            ":one": {"N": "1"},
            ":answer": {"S": answer_id},
        },
    )


def pruning(surplus: Sequence[Turn]) -> Update:
    """What drops these turns, unless later ones were dropped already."""
    names = {f"#{at}": turn.event_id for at, turn in enumerate(surplus)}
    return Update(
        sets=["pruned_through = :through"],
        removed=[f"turns.{name}" for name in names],
        conditions=[
            "attribute_exists(session_id)",
            "(attribute_not_exists(pruned_through) OR pruned_through <= :through)",
        ],
        names=names,
        values={":through": {"S": max(turn.place for turn in surplus)}},
    )


def summarising(session: Session) -> Update:
    """What sets the session's summary, unless an answer was taken back that it may speak of."""
    known = session.retractions
    same = "retractions = :known" if known else "attribute_not_exists(retractions)"
    update = Update(
        sets=["summary = :summary", "summarised_through = :through"],
        conditions=["#owner = :owner", same],
        names={"#owner": "owner"},
        values={
            ":summary": {"S": session.summary},
            ":through": {"S": session.summarised_through},
            ":owner": {"S": session.owner},
        },
    )
    if known:
        update.values[":known"] = number(known)
    return update


def writes(turns: Sequence[Turn]) -> Iterator[Sequence[Turn]]:
    """The newest turns, oldest first, each event id once, as many as one write may carry."""
    some: list[Turn] = []
    size = 0
    for turn in sorted(once(turns).values(), key=lambda turn: turn.place)[-MAX_TURNS:]:
        size += size_bytes(turn)
        if some and size > WRITE_BYTES:
            yield some
            some, size = [], size_bytes(turn)
        some.append(turn)
    if some:
        yield some


def newest(session: Session) -> Session:
    """The session with no more turns than it keeps and an item can hold."""
    kept: dict[str, Turn] = {}
    size = 0
    for turn in reversed(session.in_order()[-MAX_TURNS:]):
        size += size_bytes(turn)
        if size > KEPT_BYTES:
            break
        kept[turn.event_id] = turn
    return replace(session, turns=kept)


def size_bytes(turn: Turn) -> int:
    """About what a turn takes of its item."""
    texts = (turn.event_id, turn.message_id, turn.question, turn.answer_preview, turn.answer_id)
    return sum(len(text.encode()) for text in texts) + 100


def attributes(turn: Turn) -> "AttributeValueTypeDef":
    """A turn as it stands in `turns`."""
    told: dict[str, AttributeValueTypeDef] = {
        "message_id": {"S": turn.message_id},
        "question": {"S": turn.question},
        "answer_preview": {"S": turn.answer_preview},
        "at": number(turn.at),
    }
    if turn.answer_id:
        told["answer_id"] = {"S": turn.answer_id}
    return {"M": told}


def stored(item: "Attributes") -> Stored:
    """The session in an item."""
    turns = {event_id: _turn(event_id, it["M"]) for event_id, it in item["turns"]["M"].items()}
    session = Session(
        item["session_id"]["S"],
        item["owner"]["S"],
        turns,
        _text(item, "summary"),
        _text(item, "summarised_through"),
        _count(item, "retractions"),
        _count(item, "revision"),
    )
    return Stored(session, float(item["expires_at"]["N"]), _text(item, "pruned_through"))


def _turn(event_id: str, told: "Attributes") -> Turn:
    return Turn(
        event_id=event_id,
        message_id=told["message_id"]["S"],
        question=told["question"]["S"],
        answer_preview=told["answer_preview"]["S"],
        at=float(told["at"]["N"]),
        answer_id=_text(told, "answer_id"),
        is_retracted="is_retracted" in told,
    )


def _text(item: "Attributes", name: str) -> str:
    return item[name]["S"] if name in item else ""


def _count(item: "Attributes", name: str) -> int:
    return int(item[name]["N"]) if name in item else 0
