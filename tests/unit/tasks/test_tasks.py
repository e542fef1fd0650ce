"""What each task does with its ports, and what it says of failures."""

import pytest

from config.queues import declared
from domain.answers import AnswerKey
from domain.catalogue import Catalogue
from domain.errors import PartlyFailed, Permanent, Transient
from domain.events import Locale
from domain.jobs import JOB_TYPES, AppendAudit, NotePreference, WriteAnswer
from domain.summaries import extract
from tasks.analytics import emit_analytics
from tasks.audit import append_audit
from tasks.cache import write_answers
from tasks.interactions import count_interactions
from tasks.performs import performs
from tasks.preferences import note_preferences
from tasks.sessions import update_sessions
from tasks.table import TASKS
from tests.fakes import NOW, FakeCatalogueStore, World
from tests.samples import (
    DAY,
    RULE,
    analytics,
    answer,
    audit,
    interaction,
    session_update,
    title,
)


@pytest.fixture
def world() -> World:
    return World(RULE, FakeCatalogueStore(Catalogue([title("1", 5), title("2", 4)])))


def test_every_job_has_a_task_and_a_queue() -> None:
    kinds = {job_type.kind for job_type in JOB_TYPES}
    assert TASKS.keys() == kinds
    assert {kind for queue in declared().queues.values() for kind in queue.jobs} == kinds
    assert all(task.job_type.kind == kind for kind, task in TASKS.items())


def test_two_functions_cannot_perform_one_kind() -> None:
    with pytest.raises(ValueError, match=r"audit\.append"):
        performs(AppendAudit)(append_audit)


def test_turns_of_one_session_are_one_write(world: World) -> None:
    jobs = [session_update(f"e{at}", f"s{at % 2}", at=NOW + at) for at in range(10)]
    update_sessions(jobs, world.ports)
    assert sorted(world.sessions.writes) == [("s0", "u", 5), ("s1", "u", 5)]
    assert {name: len(copy.turns) for name, copy in world.session_copies.copies.items()} == {
        "s0": 5,
        "s1": 5,
    }
    assert world.metrics.counted["events_total", "session.update", "applied"] == 10


def test_a_pack_that_comes_again_changes_no_session(world: World) -> None:
    jobs = [session_update(f"e{at}", "s") for at in range(3)]
    update_sessions(jobs, world.ports)
    before = world.session_copies.copies["s"]
    update_sessions(jobs, world.ports)
    assert world.session_copies.copies["s"] == before


def test_a_strangers_turn_is_dropped_and_counted(world: World) -> None:
    update_sessions([session_update("e1", "s", "ann")], world.ports)
    update_sessions(
        [session_update("e2", "s", "bob"), session_update("e3", "t", "bob")], world.ports
    )
    assert world.session_copies.copies["s"].turns.keys() == {"e1"}
    assert world.session_copies.copies["t"].turns.keys() == {"e3"}
    assert world.metrics.counted["events_total", "session.update", "refused"] == 1


def test_a_session_that_a_stranger_claimed_is_given_back_to_its_owner(world: World) -> None:
    update_sessions([session_update("e1", "s", "ann")], world.ports)
    assert world.session_copies.owners == {}
    update_sessions([session_update("e2", "s", "bob")], world.ports)
    assert world.session_copies.owners == {"s": "ann"}


def test_a_copy_that_fails_is_counted_and_what_is_durable_does_not_come_again(
    world: World,
) -> None:
    world.session_copies.fail = Transient("redis is gone", dependency="redis")
    update_sessions([session_update("e1", "s"), session_update("e2", "t")], world.ports)
    assert sorted(world.sessions.writes) == [("s", "u", 1), ("t", "u", 1)]
    assert world.metrics.counted["cache_write_failures_total",] == 2
    assert world.metrics.counted["events_total", "session.update", "applied"] == 2


def test_a_session_comes_again_until_it_is_given_back_to_its_owner(world: World) -> None:
    update_sessions([session_update("e1", "s", "ann")], world.ports)
    world.session_copies.fail = Transient("redis is gone", dependency="redis")
    jobs = [session_update("e2", "s", "bob"), session_update("e3", "t", "bob")]
    with pytest.raises(PartlyFailed) as caught:
        update_sessions(jobs, world.ports)
    assert caught.value.reasons == {"e2": world.session_copies.fail}
    world.session_copies.fail = None
    update_sessions(jobs, world.ports)
    assert world.session_copies.owners == {"s": "ann"}


def test_a_session_that_fails_does_not_hold_up_the_others(world: World) -> None:
    world.sessions.failing["bad"] = Transient("throttled")
    jobs = [session_update("e1", "bad"), session_update("e2", "good"), session_update("e3", "bad")]
    with pytest.raises(PartlyFailed) as caught:
        update_sessions(jobs, world.ports)
    assert caught.value.reasons.keys() == {"e1", "e3"}
    assert not caught.value.permanent
    assert world.session_copies.copies.keys() == {"good"}


def test_a_long_session_is_summarised_once_whatever_the_packs(world: World) -> None:
    jobs = [session_update(f"e{at:02}", "s", at=NOW + at) for at in range(20)]
    for first in range(0, 20, 3):
        update_sessions(jobs[first : first + 3], world.ports)
    copy = world.session_copies.copies["s"]
    assert copy.summarised_through == copy.in_order()[12].place
    assert copy.summary == extract("", copy.in_order()[:13])
    update_sessions(jobs, world.ports)
    assert world.session_copies.copies["s"] == copy


def test_records_that_were_not_taken_are_named(world: World) -> None:
    world.analytics.refusing["e2"] = "Throttled"
    with pytest.raises(PartlyFailed) as caught:
        emit_analytics([analytics("e1"), analytics("e2")], world.ports)
    assert caught.value.reasons.keys() == {"e2"}
    assert [record.event_id for record in world.analytics.records] == ["e1"]
    assert world.metrics.counted["events_total", "analytics.emit", "sent"] == 1


def test_lines_that_were_not_taken_are_named(world: World) -> None:
    world.audit.refusing["e2"] = "too new"
    with pytest.raises(PartlyFailed) as caught:
        append_audit([audit("e1"), audit("e2")], world.ports)
    assert caught.value.reasons.keys() == {"e2"}
    assert [line.event_id for line in world.audit.lines] == ["e1"]


def test_a_line_that_the_log_will_never_take_is_parked_and_another_comes_again(
    world: World,
) -> None:
    world.audit.refusing = {"e1": "too old", "e2": "too new"}
    with pytest.raises(PartlyFailed) as caught:
        append_audit([audit("e1"), audit("e2")], world.ports)
    assert isinstance(caught.value.reasons["e1"], Permanent)
    assert isinstance(caught.value.reasons["e2"], Transient)


def test_interactions_are_counted_by_what_became_of_them(world: World) -> None:
    once, old = interaction("1"), interaction("1", NOW - 8 * DAY)
    count_interactions([once, once, old], world.ports)
    counted = world.metrics.counted
    assert counted["events_total", "interaction.count", "applied"] == 1
    assert counted["events_total", "interaction.count", "expired"] == 1
    assert counted["duplicates_total", "interaction.count"] == 1
    assert world.ports.counts.scores(NOW) == {"1": 1.0}


def test_what_customers_prefer_is_noted(world: World) -> None:
    note = NotePreference(
        event_id="e", producer="t", seq=0, occurred_at=NOW, user_id="ann", locale="ja", genre="gag"
    )
    note_preferences([note, note], world.ports)
    assert set(world.preferences.of("ann")) == {"locale:ja", "genre:gag"}
    assert world.metrics.counted["events_total", "preference.note", "applied"] == 2


def wanted(slug: str, kind: str = "title", locale: Locale = "ja", at: float = NOW) -> WriteAnswer:
    return WriteAnswer(
        event_id=f"{slug}-{locale}-{at}",
        producer="test",
        seq=0,
        occurred_at=at,
        answer_kind=kind,
        slug=slug,
        locale=locale,
    )


def test_a_missing_answer_is_written_once_for_all_who_asked(world: World) -> None:
    write_answers([wanted("1"), wanted("1", at=NOW), wanted("1", locale="en")], world.ports)
    stored = world.answers.read(AnswerKey("title", "1", "ja"))
    assert stored is not None
    assert stored.preview == "『題1』は漫画作品です。英語またはローマ字での題名はTitle 1です。"
    assert stored.soft_expires_at == NOW + 300
    assert len(world.answers.stored) == 2


def test_an_answer_that_is_newer_than_the_question_is_kept(world: World) -> None:
    key = AnswerKey("title", "1", "ja")
    newer = answer(key, int(NOW * 1000) + 1)
    world.answers.write(key, newer)
    write_answers([wanted("1")], world.ports)
    assert world.answers.read(key) == newer
    assert world.metrics.counted["superseded_total", "cache.write"] == 1


def test_a_write_that_comes_again_is_told_from_one_that_is_too_late(world: World) -> None:
    for at in (NOW, NOW, NOW - 1):
        write_answers([wanted("1", at=at)], world.ports)
    assert world.metrics.counted["duplicates_total", "cache.write"] == 1
    assert world.metrics.counted["superseded_total", "cache.write"] == 1


def test_a_title_that_is_gone_is_nobodys_failure(world: World) -> None:
    write_answers([wanted("gone")], world.ports)
    assert not world.answers.stored


def test_a_write_that_fails_is_counted_and_not_repeated(world: World) -> None:
    world.answers.fail = Transient("Redis does not answer")
    write_answers([wanted("1"), wanted("2")], world.ports)
    assert world.metrics.counted["cache_write_failures_total",] == 2


def test_other_kinds_are_not_written_one_by_one(world: World) -> None:
    with pytest.raises(PartlyFailed) as caught:
        write_answers([wanted("action", kind="genre"), wanted("1")], world.ports)
    assert caught.value.permanent
    assert isinstance(next(iter(caught.value.reasons.values())), Permanent)
    assert len(world.answers.stored) == 1
