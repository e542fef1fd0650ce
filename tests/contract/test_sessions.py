"""Sessions: the contract of `Sessions`, and what DynamoDB adds to it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count

import pytest

from adapters.aws_clients import AwsClients
from adapters.dynamodb_sessions import DynamoDBSessions
from domain.errors import OwnedByAnother
from domain.ports import Given, Sessions
from domain.sessions import MAX_TURNS, Session, Turn
from tests.fakes import NOW, FakeClock, FakeSessions
from tests.samples import DAY, turn

TABLE = "mangaassist-sessions"
ITEM_BYTES = 400 * 1024
_ids = count()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def session_id() -> str:
    return f"session-{next(_ids)}"


@pytest.fixture
def table(aws: AwsClients, clock: FakeClock) -> DynamoDBSessions:
    return DynamoDBSessions(aws, TABLE, 30, clock)


@pytest.fixture(params=["fake", "dynamodb"])
def sessions(request: pytest.FixtureRequest) -> Sessions:
    if request.param == "fake":
        return FakeSessions()
    found: DynamoDBSessions = request.getfixturevalue("table")
    return found


def ids(session: object) -> list[str]:
    return [each.event_id for each in session.in_order()]  # type: ignore[attr-defined]


def test_an_unknown_session_is_none(sessions: Sessions, session_id: str) -> None:
    assert sessions.get(session_id, "ann") is None


def test_a_turn_is_stored_whole(sessions: Sessions, session_id: str) -> None:
    first = turn("e1", NOW + 0.123456)
    assert sessions.add_turns(session_id, "ann", [first]).turns == {"e1": first}
    found = sessions.get(session_id, "ann")
    assert found is not None
    assert (found.owner, found.turns) == ("ann", {"e1": first})


def test_turns_are_in_order_of_time_whatever_order_they_came_in(
    sessions: Sessions, session_id: str
) -> None:
    sessions.add_turns(session_id, "ann", [turn("e3", NOW + 3), turn("e1", NOW + 1)])
    assert ids(sessions.add_turns(session_id, "ann", [turn("e2", NOW + 2)])) == ["e1", "e2", "e3"]


def test_a_turn_that_comes_again_changes_nothing(sessions: Sessions, session_id: str) -> None:
    before = sessions.add_turns(session_id, "ann", [turn("e1"), turn("e2", NOW + 1)])
    assert sessions.add_turns(session_id, "ann", [turn("e1"), turn("e1")]) == before


def test_a_retry_with_other_words_does_not_rewrite_the_turn(
    sessions: Sessions, session_id: str
) -> None:
    before = sessions.add_turns(session_id, "ann", [turn("e1")])
    other = replace(turn("e1", NOW + 9), question="something else", answer_preview="another")
    assert sessions.add_turns(session_id, "ann", [other]) == before
    assert sessions.get(session_id, "ann") == before


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 0, 1)])
def test_an_answer_that_comes_later_completes_its_turn_in_any_order(
    sessions: Sessions, session_id: str, order: tuple[int, ...]
) -> None:
    asked = replace(turn("e1"), answer_preview="")
    steps = [asked, turn("e1")]
    for step in order:
        sessions.add_turns(session_id, "ann", [steps[step], turn("e2", NOW + 1)])
    found = sessions.get(session_id, "ann")
    assert found is not None
    assert found.turns == {"e1": turn("e1"), "e2": turn("e2", NOW + 1)}


def test_a_question_and_its_answer_may_come_at_once(sessions: Sessions, session_id: str) -> None:
    asked = replace(turn("e1"), answer_preview="")
    assert sessions.add_turns(session_id, "ann", [asked, turn("e1")]).turns == {"e1": turn("e1")}


def test_another_user_may_neither_write_nor_read(sessions: Sessions, session_id: str) -> None:
    sessions.add_turns(session_id, "ann", [turn("e1")])
    with pytest.raises(OwnedByAnother) as refused:
        sessions.add_turns(session_id, "bob", [turn("e2")])
    assert refused.value.owner == "ann"
    assert "ann" not in str(refused.value)
    assert sessions.get(session_id, "bob") is None
    assert ids(sessions.get(session_id, "ann")) == ["e1"]


def test_an_anonymous_session_has_an_owner_too(sessions: Sessions, session_id: str) -> None:
    sessions.add_turns(session_id, "", [turn("e1")])
    with pytest.raises(OwnedByAnother) as refused:
        sessions.add_turns(session_id, "ann", [turn("e2")])
    assert refused.value.owner == ""


def test_the_oldest_turns_go_and_do_not_come_back(sessions: Sessions, session_id: str) -> None:
    turns = [turn(f"e{at:03}", NOW + at) for at in range(MAX_TURNS + 25)]
    for at in range(0, len(turns), 5):
        session = sessions.add_turns(session_id, "ann", turns[at : at + 5])
    newest = [each.event_id for each in turns[-MAX_TURNS:]]
    assert ids(session) == newest
    assert ids(sessions.add_turns(session_id, "ann", [turns[0], turns[3]])) == newest
    assert ids(sessions.get(session_id, "ann")) == newest


def test_more_turns_at_once_than_a_session_keeps(sessions: Sessions, session_id: str) -> None:
    turns = [turn(f"e{at:03}", NOW + at) for at in range(100)]
    assert ids(sessions.add_turns(session_id, "ann", turns)) == [
        each.event_id for each in turns[-MAX_TURNS:]
    ]


def test_event_ids_may_hold_any_letters(sessions: Sessions, session_id: str) -> None:
    sessions.add_turns(session_id, "ann", [turn("a.b#c:[0] 漫画")])
    assert ids(sessions.get(session_id, "ann")) == ["a.b#c:[0] 漫画"]


def test_an_expired_session_is_as_if_it_were_not_there(
    table: DynamoDBSessions, clock: FakeClock, session_id: str
) -> None:
    table.add_turns(session_id, "ann", [turn("e1")])
    clock.now += 31 * DAY
    assert table.get(session_id, "ann") is None
    assert ids(table.add_turns(session_id, "bob", [turn("e2")])) == ["e2"]


def test_a_new_turn_prolongs_the_session(
    table: DynamoDBSessions, clock: FakeClock, session_id: str
) -> None:
    table.add_turns(session_id, "ann", [turn("e1")])
    clock.now += 20 * DAY
    table.add_turns(session_id, "ann", [turn("e2", clock.now)])
    clock.now += 20 * DAY
    assert ids(table.get(session_id, "ann")) == ["e1", "e2"]


def test_writers_of_one_session_at_once_lose_nothing(
    table: DynamoDBSessions, session_id: str
) -> None:
    turns = [turn(f"e{at:02}", NOW + at) for at in range(24)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda each: table.add_turns(session_id, "ann", [each]), turns))
    assert len(ids(table.get(session_id, "ann"))) == len(turns)


def test_the_longest_questions_stay_below_the_size_of_an_item(
    table: DynamoDBSessions, aws: AwsClients, session_id: str
) -> None:
    turns = [turn(f"e{at:02}", NOW + at, question="𠮷" * 4000) for at in range(MAX_TURNS)]
    for at in range(0, MAX_TURNS, 10):
        session = table.add_turns(session_id, "ann", turns[at : at + 10])
    assert ids(session)[-1] == turns[-1].event_id
    assert len(session.turns) >= 15
    item = aws.dynamodb.get_item(TableName=TABLE, Key={"session_id": {"S": session_id}})["Item"]
    size = sum(len(each["M"]["question"]["S"].encode()) for each in item["turns"]["M"].values())
    assert size < ITEM_BYTES * 0.95


def test_the_item_carries_its_expiry_for_the_table(
    table: DynamoDBSessions, aws: AwsClients, session_id: str
) -> None:
    table.add_turns(session_id, "ann", [turn("e1")])
    item = aws.dynamodb.get_item(TableName=TABLE, Key={"session_id": {"S": session_id}})["Item"]
    assert item["expires_at"] == {"N": str(int(NOW + 30 * DAY))}
    assert item["turns"]["M"].keys() == {"e1"}


def test_a_summary_is_kept_and_replaced_by_one_that_covers_more(
    sessions: Sessions, session_id: str
) -> None:
    short, long = turn("e1", NOW + 1).place, turn("e2", NOW + 2).place
    session = sessions.add_turns(session_id, "ann", [turn("e1", NOW + 1)])
    assert sessions.summarise(replace(session, summary="one", summarised_through=short))
    assert sessions.summarise(replace(session, summary="two", summarised_through=long))
    assert not sessions.summarise(replace(session, summary="2", summarised_through=long))
    assert not sessions.summarise(replace(session, summary="late", summarised_through=short))
    found = sessions.add_turns(session_id, "ann", [turn("e2", NOW + 2)])
    assert (found.summary, found.summarised_through) == ("two", long)
    assert found == sessions.get(session_id, "ann")


def test_a_strangers_summary_is_not_kept(sessions: Sessions, session_id: str) -> None:
    session = sessions.add_turns(session_id, "ann", [turn("e1")])
    assert not sessions.summarise(
        replace(session, owner="bob", summary="x", summarised_through=turn("e1").place)
    )
    assert not sessions.summarise(Session("nowhere", "ann", {}, "x", turn("e1").place))


def test_a_summary_outlives_the_turns_that_it_covers(sessions: Sessions, session_id: str) -> None:
    session = sessions.add_turns(session_id, "ann", [turn("e0", NOW)])
    sessions.summarise(replace(session, summary="s", summarised_through=turn("e0", NOW).place))
    for first in range(1, 2 * MAX_TURNS, 10):
        many = [turn(f"e{n}", NOW + n) for n in range(first, first + 10)]
        found = sessions.add_turns(session_id, "ann", many)
    assert "e0" not in found.turns
    assert found.summary == "s"


NOTE = "taken back"


def there(session: Session | None) -> Session:
    assert session is not None
    return session


def answered(event_id: str, at: float = NOW, answer_id: str = "a-1") -> Turn:
    return replace(turn(event_id, at), answer_id=answer_id)


def test_a_note_takes_the_place_of_an_answer(sessions: Sessions, session_id: str) -> None:
    kept = answered("e2", NOW + 1)
    sessions.add_turns(session_id, "ann", [answered("e1"), kept])
    found = sessions.retract(Given("a-1", session_id, "e1"), NOTE)
    assert found is not None
    assert found.turns == {"e1": answered("e1").retracted(NOTE), "e2": kept}
    assert found == sessions.get(session_id, "ann")


def test_taking_an_answer_back_again_changes_nothing(sessions: Sessions, session_id: str) -> None:
    given, through = Given("a-1", session_id, "e1"), turn("e1").place
    session = sessions.add_turns(session_id, "ann", [answered("e1"), turn("e2", NOW + 1)])
    assert sessions.summarise(replace(session, summary="evil", summarised_through=through))
    found, again = there(sessions.retract(given, NOTE)), there(sessions.retract(given, NOTE))
    assert (again, again.revision, again.retractions) == (found, found.revision, 1)
    assert sessions.reword(replace(found, summary="good")), "the summary is as it was looked at"
    late = there(sessions.retract(given, "another note"))
    assert (late.summary, late.turns, late.retractions) == ("good", found.turns, 1)


def test_every_change_makes_the_revision_a_greater_one(sessions: Sessions, session_id: str) -> None:
    given, through = Given("a-1", session_id, "e1"), turn("e1").place
    asked = replace(turn("e1"), answer_preview="")
    states = [sessions.add_turns(session_id, "ann", [asked])]
    states.append(sessions.add_turns(session_id, "ann", [answered("e1")]))
    states.append(sessions.add_turns(session_id, "ann", [turn("e2", NOW + 1)]))
    covering = replace(states[-1], summary="a", summarised_through=through)
    states.append(there(sessions.summarise(covering)))
    states.append(there(sessions.retract(given, NOTE)))
    states.append(there(sessions.reword(replace(states[-1], summary="b"))))
    revisions = [state.revision for state in states]
    assert revisions == sorted(set(revisions))
    found = there(sessions.get(session_id, "ann"))
    assert (found, found.revision) == (states[-1], revisions[-1])


@pytest.mark.parametrize("minutes", [-90, 90])
def test_writers_whose_clocks_disagree_make_revisions_that_grow(
    table: DynamoDBSessions, clock: FakeClock, session_id: str, minutes: int
) -> None:
    revisions = []
    for at in range(4):
        clock.now += minutes * 60 * (-1) ** at
        revisions.append(table.add_turns(session_id, "ann", [turn(f"e{at}", NOW + at)]).revision)
    assert revisions == sorted(set(revisions))
    assert len(ids(table.get(session_id, "ann"))) == 4


def test_what_is_not_there_is_not_taken_back(sessions: Sessions, session_id: str) -> None:
    gone = [Given("a-1", session_id, "e1"), Given("a-1", session_id, "e9"), Given("a-1", "x", "e1")]
    sessions.add_turns(session_id, "ann", [answered("e1", answer_id="a-2"), turn("e2")])
    before = sessions.get(session_id, "ann")
    assert [sessions.retract(one, NOTE) for one in gone] == [None] * 3
    assert sessions.get(session_id, "ann") == before


def test_an_answer_that_was_taken_back_does_not_return(sessions: Sessions, session_id: str) -> None:
    asked = replace(turn("e1"), answer_preview="")
    for step in (asked, answered("e1"), answered("e1"), asked, answered("e1", answer_id="a-2")):
        sessions.add_turns(session_id, "ann", [step])
        sessions.retract(Given("a-1", session_id, "e1"), NOTE)
    sessions.add_turns(session_id, "ann", [answered("e1")])
    found = sessions.get(session_id, "ann")
    assert found is not None
    assert found.turns == {"e1": answered("e1").retracted(NOTE)}


def test_an_answer_that_comes_later_can_be_taken_back(sessions: Sessions, session_id: str) -> None:
    given = Given("a-1", session_id, "e1")
    sessions.add_turns(session_id, "ann", [replace(turn("e1"), answer_preview="")])
    assert sessions.retract(given, NOTE) is None
    assert sessions.add_turns(session_id, "ann", [answered("e1")]).turns == {"e1": answered("e1")}
    assert sessions.retract(given, NOTE) is not None


def test_a_summary_of_what_was_taken_back_meanwhile_is_not_kept(
    sessions: Sessions, session_id: str
) -> None:
    session = sessions.add_turns(session_id, "ann", [answered("e1"), answered("e2", NOW + 1)])
    through = answered("e1").place
    for event_id in ("e1", "e2"):
        assert not sessions.reword(replace(session, summary="x", summarised_through=through))
        found = sessions.retract(Given("a-1", session_id, event_id), NOTE)
        assert not sessions.summarise(
            replace(session, summary="late", summarised_through=answered("e2", NOW + 1).place)
        )
        assert found is not None
        session = found
    assert sessions.summarise(replace(session, summary="one", summarised_through=through))


def test_a_summary_is_reworded_while_it_covers_the_same(
    sessions: Sessions, session_id: str
) -> None:
    short, long = answered("e1").place, answered("e2", NOW + 1).place
    session = sessions.add_turns(session_id, "ann", [answered("e1"), answered("e2", NOW + 1)])
    assert sessions.summarise(replace(session, summary="one", summarised_through=short))
    found = sessions.retract(Given("a-1", session_id, "e1"), NOTE)
    assert found is not None
    assert found.summary == "one"
    assert sessions.reword(replace(found, summary="another"))
    assert not sessions.reword(replace(session, summary="late", summarised_through=short))
    assert not sessions.reword(replace(found, summary="other turns", summarised_through=long))
    kept = sessions.get(session_id, "ann")
    assert kept is not None
    assert (kept.summary, kept.summarised_through) == ("another", short)
