"""What readers of a session's copy see after the table lost something: what it has had since."""

from dataclasses import replace
from itertools import count, permutations

import pytest

from adapters.aws_clients import AwsClients
from adapters.dynamodb_sessions import DynamoDBSessions
from adapters.redis_connection import RedisConnection
from adapters.redis_sessions import RedisSessions, decode_copy
from domain.ports import Given
from domain.sessions import Session, Turn
from tests.fakes import NOW, FakeClock
from tests.samples import turn

TABLE = "mangaassist-sessions"
OUTAGE_SECONDS = 1.0
"""No table is lost and back in less."""
_ids = count()


class Desk:
    """One session in a table that can be brought back to what it was, and its copies."""

    def __init__(self, aws: AwsClients, connection: RedisConnection) -> None:
        self.clock = FakeClock()
        self.table = DynamoDBSessions(aws, TABLE, 30, self.clock)
        self.copies = RedisSessions(
            connection, copy_seconds=300, history_seconds=3000, owner_seconds=3000
        )
        self.session_id = f"lost-{next(_ids)}"
        self._dynamodb = aws.dynamodb
        self._redis = connection.client
        self._key = {"session_id": {"S": self.session_id}}

    def add(self, *ats: int) -> Session:
        """Store a turn at each of these seconds, a write each; the last state."""
        for at in ats:
            added = self.table.add_turns(self.session_id, "ann", [self.turn(at)])
        return added

    def turn(self, at: int) -> Turn:
        return replace(turn(f"e{at}", NOW + at), answer_id=f"a-{at}")

    def lose_all(self) -> None:
        self._dynamodb.delete_item(TableName=TABLE, Key=self._key)
        self.clock.now += OUTAGE_SECONDS

    def lose(self, *ats: int) -> None:
        """Store these turns, and restore the table as it was before."""
        backup = self._dynamodb.get_item(TableName=TABLE, Key=self._key)["Item"]
        self.copies.put([self.add(*ats)])
        self._dynamodb.put_item(TableName=TABLE, Item=backup)
        self.clock.now += OUTAGE_SECONDS

    def forget(self) -> None:
        """Let the copies be gone."""
        self._redis.delete(f"session:{self.session_id}", f"session_history:{self.session_id}")

    def shown(self) -> Session:
        """What a reader sees, in the short copy as in the long one."""
        found = [
            decode_copy(self._redis.get(f"{name}:{self.session_id}"))
            for name in ("session", "session_history")
        ]
        assert found[0] == found[1].last()
        return found[1]


@pytest.fixture
def desk(aws: AwsClients, redis_connection: RedisConnection) -> Desk:
    return Desk(aws, redis_connection)


def test_turns_after_the_table_was_emptied_are_shown(desk: Desk) -> None:
    desk.copies.put([desk.add(*range(8))])
    desk.lose_all()
    added = desk.add(9)
    assert added.turns.keys() == {"e9"}
    desk.copies.put([added])
    assert desk.shown() == added


def test_turns_after_the_table_was_restored_are_shown(desk: Desk) -> None:
    desk.copies.put([desk.add(0, 1)])
    desk.lose(*range(2, 8))
    added = desk.add(9)
    assert added.turns.keys() == {"e0", "e1", "e9"}
    desk.copies.put([added])
    assert desk.shown() == added


def test_what_is_taken_back_after_the_table_was_restored_is_not_shown(desk: Desk) -> None:
    desk.copies.put([desk.add(0, 1)])
    desk.lose(*range(2, 8))
    taken_back = desk.table.retract(Given("a-1", desk.session_id, "e1"), "taken back")
    assert taken_back is not None
    desk.copies.put([taken_back])
    assert desk.shown().turns["e1"].is_retracted


def test_copies_of_before_and_after_may_come_in_any_order(desk: Desk) -> None:
    before = desk.add(0, 1, 2)
    desk.lose_all()
    states = [before, desk.add(3), desk.add(4)]
    for order in permutations(states):
        desk.forget()
        for state in order:
            desk.copies.put([state])
        assert desk.shown() == states[-1]
