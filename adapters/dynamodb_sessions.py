"""Sessions in DynamoDB: one item each, its turns a map by event id.

Key `session_id`; attributes `owner`, `turns`, `updated_at`, `expires_at` (the table's TTL, epoch
seconds, also honoured on read, since DynamoDB deletes late) and `pruned_through`, the place of the
newest turn that was dropped, so that a late duplicate of a dropped turn does not come back, and
`summary` with `summarised_through`, the place of the newest turn that it covers.
A call is one conditional UpdateItem; the first of a session also a PutItem, and about every tenth
of a long session one that prunes. Items stay below 400 KB. Needs GetItem, PutItem, UpdateItem.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

from adapters.aws_clients import AwsClients
from adapters.aws_errors import REFUSED_CODES, code_of, translated
from domain.errors import OwnedByAnother, Transient
from domain.ports import Clock
from domain.sessions import MAX_TURNS, Session, Turn, once

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, UpdateItemInputTypeDef

    Attributes = Mapping[str, AttributeValueTypeDef]

PRUNE_SLACK = 10
"""Turns beyond what a session keeps before they are pruned: one write more in ten, not in two."""
WRITE_BYTES = 64 * 1024
KEPT_BYTES = 280 * 1024
"""Together with one write and the names this stays below the 400 KB of an item."""
CONTENDED_TRIES = 5
DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class _Stored:
    """A session's item."""

    session: Session
    expires_at: float
    pruned_through: str


@dataclass(slots=True)
class _Update:
    """The parts of an update expression, filled in as needed."""

    sets: list[str] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    values: dict[str, "AttributeValueTypeDef"] = field(default_factory=dict)


class DynamoDBSessions:
    """Implements `domain.ports.Sessions`."""

    def __init__(self, aws: AwsClients, table: str, days: int, clock: Clock) -> None:
        self._aws = aws
        self._table = table
        self._kept_seconds = days * DAY_SECONDS
        self._clock = clock

    def add_turns(self, session_id: str, owner: str, turns: Sequence[Turn]) -> Session:
        """Add turns in one write, by event id; the session as it is after that.

        Raises OwnedByAnother where the session belongs to another user.
        """
        session = Session(session_id, owner)
        with translated("dynamodb"):
            for some in _writes(turns):
                added = self._answered(self._add(session_id, owner, some), some)
                session = self._pruned(added)
        return session

    def get(self, session_id: str, owner: str) -> Session | None:
        """The session, or None where there is none of that owner."""
        with translated("dynamodb"):
            answer = self._aws.dynamodb.get_item(
                TableName=self._table, Key={"session_id": {"S": session_id}}, ConsistentRead=True
            )
        item = answer.get("Item")
        if not item:
            return None
        stored = _stored(item)
        if stored.expires_at <= self._clock() or stored.session.owner != owner:
            return None
        return _newest(stored.session)

    def summarise(self, session: Session) -> bool:
        """Keep the session's summary, unless one that covers as much is there; whether it is."""
        update = _Update(
            sets=["summary = :summary", "summarised_through = :through"],
            conditions=[
                "#owner = :owner",
                "(attribute_not_exists(summarised_through) OR summarised_through < :through)",
            ],
            names={"#owner": "owner"},
            values={
                ":summary": {"S": session.summary},
                ":through": {"S": session.summarised_through},
                ":owner": {"S": session.owner},
            },
        )
        expression = "SET " + ", ".join(update.sets)
        with translated("dynamodb"):
            try:
                self._aws.dynamodb.update_item(
                    **self._request(session.session_id, expression, update)
                )
            except ClientError as error:
                if code_of(error) not in REFUSED_CODES:
                    raise
                return False
        return True

    def _add(self, session_id: str, owner: str, turns: Sequence[Turn]) -> Session:
        for _ in range(CONTENDED_TRIES):
            try:
                return self._update(session_id, owner, turns)
            except ClientError as error:
                if code_of(error) not in REFUSED_CODES:
                    raise
                found = _found_by(error)
            if found is None or found.expires_at <= self._clock():
                created = self._create(session_id, owner, turns)
                if created is not None:
                    return created
                continue
            if found.session.owner != owner:
                raise OwnedByAnother(found.session.owner)
            turns = [turn for turn in turns if turn.place > found.pruned_through]
            if not turns:
                return found.session
        raise Transient("a session is being written too often at once")

    def _answered(self, session: Session, turns: Sequence[Turn]) -> Session:
        """The session with the answers to those of its turns that were stored without one."""
        answers = [
            turn
            for turn in turns
            if turn.answer_preview
            and turn.event_id in session.turns
            and not session.turns[turn.event_id].answer_preview
        ]
        if not answers:
            return session
        update = _Update(values={":none": {"S": ""}})
        for at, turn in enumerate(answers):
            update.sets.append(f"turns.#{at}.answer_preview = :{at}")
            update.conditions.append(f"turns.#{at}.answer_preview = :none")
            update.names[f"#{at}"] = turn.event_id
            update.values[f":{at}"] = {"S": turn.answer_preview}
        request = self._request(session.session_id, "SET " + ", ".join(update.sets), update)
        request["ReturnValues"] = "ALL_NEW"
        try:
            return _stored(self._aws.dynamodb.update_item(**request)["Attributes"]).session
        except ClientError as error:
            if code_of(error) not in REFUSED_CODES:
                raise
            if len(answers) == 1:
                return session  # somebody was quicker, or it was pruned
        for turn in answers:
            session = self._answered(session, [turn])
        return session

    def _update(self, session_id: str, owner: str, turns: Sequence[Turn]) -> Session:
        update = _setting(turns)
        now = self._clock()
        update.sets += ["updated_at = :now", "expires_at = :expires"]
        update.conditions += [
            "#owner = :owner",
            "expires_at > :now",
            "(attribute_not_exists(pruned_through) OR pruned_through < :oldest)",
        ]
        update.names["#owner"] = "owner"
        update.values |= {
            ":now": _number(now),
            ":expires": _number(self._expiry(now)),
            ":owner": {"S": owner},
            ":oldest": {"S": min(turn.place for turn in turns)},
        }
        request = self._request(session_id, "SET " + ", ".join(update.sets), update)
        request["ReturnValues"] = "ALL_NEW"
        request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        answer = self._aws.dynamodb.update_item(**request)
        return _stored(answer["Attributes"]).session

    def _create(self, session_id: str, owner: str, turns: Sequence[Turn]) -> Session | None:
        """The new session, or None where somebody else was quicker."""
        now = self._clock()
        try:
            self._aws.dynamodb.put_item(
                TableName=self._table,
                Item={
                    "session_id": {"S": session_id},
                    "owner": {"S": owner},
                    "turns": {"M": {turn.event_id: _attributes(turn) for turn in turns}},
                    "updated_at": _number(now),
                    "expires_at": _number(self._expiry(now)),
                },
                ConditionExpression="attribute_not_exists(session_id) OR expires_at <= :now",
                ExpressionAttributeValues={":now": _number(now)},
            )
        except ClientError as error:
            if code_of(error) in REFUSED_CODES:
                return None
            raise
        return Session(session_id, owner).with_turns(turns)

    def _pruned(self, session: Session) -> Session:
        kept = _newest(session)
        surplus = [turn for turn in session.in_order() if turn.event_id not in kept.turns]
        too_large = sum(map(_size_bytes, session.turns.values())) > KEPT_BYTES
        if len(surplus) >= PRUNE_SLACK or (surplus and too_large):
            self._prune(session, surplus)
        return kept

    def _prune(self, session: Session, surplus: Sequence[Turn]) -> None:
        update = _Update(values={":through": {"S": max(turn.place for turn in surplus)}})
        update.conditions.append(
            "attribute_exists(session_id) AND "
            "(attribute_not_exists(pruned_through) OR pruned_through <= :through)"
        )
        update.names = {f"#{at}": turn.event_id for at, turn in enumerate(surplus)}
        removed = ", ".join(f"turns.{name}" for name in update.names)
        expression = f"SET pruned_through = :through REMOVE {removed}"
        try:
            self._aws.dynamodb.update_item(**self._request(session.session_id, expression, update))
        except ClientError as error:
            # Somebody else has pruned further: the next write finds what is left to prune.
            if code_of(error) not in REFUSED_CODES:
                raise

    def _request(
        self, session_id: str, expression: str, update: _Update
    ) -> "UpdateItemInputTypeDef":
        return {
            "TableName": self._table,
            "Key": {"session_id": {"S": session_id}},
            "UpdateExpression": expression,
            "ConditionExpression": " AND ".join(update.conditions),
            "ExpressionAttributeNames": update.names,
            "ExpressionAttributeValues": update.values,
        }

    def _expiry(self, now: float) -> int:
        return int(now) + self._kept_seconds


def _found_by(error: ClientError) -> _Stored | None:
    """The item that did not meet the condition, or None where there is no item."""
    item = cast("Attributes | None", error.response.get("Item"))
    return _stored(item) if item else None


def _setting(turns: Sequence[Turn]) -> _Update:
    update = _Update()
    for at, turn in enumerate(turns):
        update.sets.append(f"turns.#{at} = if_not_exists(turns.#{at}, :{at})")
        update.names[f"#{at}"] = turn.event_id
        update.values[f":{at}"] = _attributes(turn)
    return update


def _writes(turns: Sequence[Turn]) -> Iterator[Sequence[Turn]]:
    """The newest turns, oldest first, each event id once, as many as one write may carry."""
    some: list[Turn] = []
    size = 0
    for turn in sorted(once(turns).values(), key=lambda turn: turn.place)[-MAX_TURNS:]:
        size += _size_bytes(turn)
        if some and size > WRITE_BYTES:
            yield some
            some, size = [], _size_bytes(turn)
        some.append(turn)
    if some:
        yield some


def _newest(session: Session) -> Session:
    """The session with no more turns than it keeps and an item can hold."""
    kept: dict[str, Turn] = {}
    size = 0
    for turn in reversed(session.in_order()[-MAX_TURNS:]):
        size += _size_bytes(turn)
        if size > KEPT_BYTES:
            break
        kept[turn.event_id] = turn
    return replace(session, turns=kept)


def _size_bytes(turn: Turn) -> int:
    texts = (turn.event_id, turn.message_id, turn.question, turn.answer_preview)
    return sum(len(text.encode()) for text in texts) + 100


def _attributes(turn: Turn) -> "AttributeValueTypeDef":
    return {
        "M": {
            "message_id": {"S": turn.message_id},
            "question": {"S": turn.question},
            "answer_preview": {"S": turn.answer_preview},
            "at": _number(turn.at),
        }
    }


def _stored(item: "Attributes") -> _Stored:
    turns = {
        event_id: Turn(
            event_id=event_id,
            message_id=turn["M"]["message_id"]["S"],
            question=turn["M"]["question"]["S"],
            answer_preview=turn["M"]["answer_preview"]["S"],
            at=float(turn["M"]["at"]["N"]),
        )
        for event_id, turn in item["turns"]["M"].items()
    }
    return _Stored(
        Session(
            item["session_id"]["S"],
            item["owner"]["S"],
            turns,
            _text(item, "summary"),
            _text(item, "summarised_through"),
        ),
        float(item["expires_at"]["N"]),
        _text(item, "pruned_through"),
    )


def _text(item: "Attributes", name: str) -> str:
    return item[name]["S"] if name in item else ""


def _number(value: float) -> "AttributeValueTypeDef":
    return {"N": repr(value)}
