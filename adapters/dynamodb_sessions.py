"""Sessions in DynamoDB, one item each, as `adapters/dynamodb_session_items.py` describes it.

An item's expiry is also honoured on read, since DynamoDB deletes late. A call is one conditional
UpdateItem, two where another writer's clock was ahead; the first of a session also a PutItem, and
about every tenth of a long session one that prunes. Needs GetItem, PutItem, UpdateItem.
"""

from collections.abc import Sequence

from botocore.exceptions import ClientError

from adapters.aws_clients import AwsClients
from adapters.aws_errors import REFUSED_CODES, code_of, translated
from adapters.dynamodb_session_items import (
    KEPT_BYTES,
    Update,
    adding,
    answering,
    attributes,
    newest,
    pruning,
    retracting,
    size_bytes,
    stored,
    summarising,
    writes,
)
from adapters.dynamodb_session_writes import SessionWrites, found_by
from adapters.dynamodb_values import number
from domain.errors import OwnedByAnother, Transient
from domain.ports import Clock, Given
from domain.sessions import Session, Turn

PRUNE_SLACK = 10
"""Turns beyond what a session keeps before they are pruned: one write more in ten, not in two."""
CONTENDED_TRIES = 5
DAY_SECONDS = 86_400


class DynamoDBSessions:
    """Implements `domain.ports.Sessions`."""

    def __init__(self, aws: AwsClients, table: str, days: int, clock: Clock) -> None:
        self._aws = aws
        self._table = table
        self._kept_seconds = days * DAY_SECONDS
        self._clock = clock
        self._writes = SessionWrites(aws, table, clock)

    def add_turns(self, session_id: str, owner: str, turns: Sequence[Turn]) -> Session:
        """Add turns in one write, by event id; the session as it is after that.

        Raises OwnedByAnother where the session belongs to another user.
        """
        session = Session(session_id, owner)
        with translated("dynamodb"):
            for some in writes(turns):
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
        found = stored(item)
        if found.expires_at <= self._clock() or found.session.owner != owner:
            return None
        return newest(found.session)

    def summarise(self, session: Session) -> Session | None:
        """Keep the session's summary, unless one that covers as much is there.

        Not either where an answer was taken back meanwhile, which it may speak of. The session
        after that, None where it was not kept.
        """
        update = summarising(session)
        update.conditions.append(
            "(attribute_not_exists(summarised_through) OR summarised_through < :through)"
        )
        return _kept(self._changed(session.session_id, update))

    def reword(self, session: Session) -> Session | None:
        """Replace the session's summary by another one of the same turns; the session after that.

        None, and nothing done, where one of other turns is there or another answer was taken back.
        """
        update = summarising(session)
        update.conditions.append("summarised_through = :through")
        return _kept(self._changed(session.session_id, update))

    def retract(self, given: Given, note: str) -> Session | None:
        """Put the note in place of the answer; the session after that.

        None where the turn is not there, or has another answer. Done again, it changes nothing.
        """
        update, now = retracting(given.event_id, given.answer_id, note), self._clock()
        update.conditions.append("expires_at > :now")
        update.values[":now"] = number(now)
        with translated("dynamodb"):
            try:
                return newest(self._writes.change(given.session_id, update))
            except ClientError as error:
                if code_of(error) not in REFUSED_CODES:
                    raise
                found = found_by(error)
        if found is None or found.expires_at <= now:
            return None
        turn = found.session.turns.get(given.event_id)
        is_done = turn is not None and turn.is_retracted and turn.answer_id == given.answer_id
        return newest(found.session) if is_done else None

    def _changed(self, session_id: str, update: Update) -> Session | None:
        """The session after the update, or None where it did not meet the conditions."""
        with translated("dynamodb"):
            try:
                return self._writes.change(session_id, update)
            except ClientError as error:
                if code_of(error) not in REFUSED_CODES:
                    raise
                return None

    def _add(self, session_id: str, owner: str, turns: Sequence[Turn]) -> Session:
        for _ in range(CONTENDED_TRIES):
            try:
                return self._update(session_id, owner, turns)
            except ClientError as error:
                if code_of(error) not in REFUSED_CODES:
                    raise
                found = found_by(error)
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
        changed = self._changed(session.session_id, answering(answers))
        if changed is not None or len(answers) == 1:
            return changed or session  # else somebody was quicker, or it was pruned
        for turn in answers:
            session = self._answered(session, [turn])
        return session

    def _update(self, session_id: str, owner: str, turns: Sequence[Turn]) -> Session:
        update = adding(turns)
        now = self._clock()
        update.sets += ["updated_at = :now", "expires_at = :expires"]
        update.conditions += [
            "#owner = :owner",
            "expires_at > :now",
            "(attribute_not_exists(pruned_through) OR pruned_through < :oldest)",
        ]
        update.names["#owner"] = "owner"
        update.values |= {
            ":now": number(now),
            ":expires": number(self._expiry(now)),
            ":owner": {"S": owner},
            ":oldest": {"S": min(turn.place for turn in turns)},
        }
        return self._writes.change(session_id, update)

    def _create(self, session_id: str, owner: str, turns: Sequence[Turn]) -> Session | None:
        """The new session, or None where somebody else was quicker."""
        now, revision = self._clock(), self._writes.revision()
        try:
            self._aws.dynamodb.put_item(
                TableName=self._table,
                Item={
                    "session_id": {"S": session_id},
                    "owner": {"S": owner},
                    "turns": {"M": {turn.event_id: attributes(turn) for turn in turns}},
                    "updated_at": number(now),
                    "expires_at": number(self._expiry(now)),
                    "revision": number(revision),
                },
                ConditionExpression="attribute_not_exists(session_id) OR expires_at <= :now",
                ExpressionAttributeValues={":now": number(now)},
            )
        except ClientError as error:
            if code_of(error) in REFUSED_CODES:
                return None
            raise
        return Session(session_id, owner, revision=revision).with_turns(turns)

    def _pruned(self, session: Session) -> Session:
        kept = newest(session)
        surplus = [turn for turn in session.in_order() if turn.event_id not in kept.turns]
        too_large = sum(map(size_bytes, session.turns.values())) > KEPT_BYTES
        if len(surplus) >= PRUNE_SLACK or (surplus and too_large):
            self._prune(session, surplus)
        return kept

    def _prune(self, session: Session, surplus: Sequence[Turn]) -> None:
        try:
            self._writes.prune(session.session_id, pruning(surplus))
        except ClientError as error:
            # Somebody else has pruned further: the next write finds what is left to prune.
            if code_of(error) not in REFUSED_CODES:
                raise

    def _expiry(self, now: float) -> int:
        return int(now) + self._kept_seconds


def _kept(session: Session | None) -> Session | None:
    return newest(session) if session is not None else None
