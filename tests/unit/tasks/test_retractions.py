"""An answer that fails its check leaves a note in every session, whatever comes first."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import permutations

import pytest

from config import guardrails
from domain.catalogue import Catalogue
from domain.errors import PartlyFailed, Transient
from domain.events import Locale
from domain.jobs import CheckAnswer, CheckUnkept, UpdateSession
from domain.response_cache import StoredResponse
from domain.sessions import LAST_TURNS, SUMMARISED_AT_ONCE, Session
from tasks.guardrails import check_answers, check_unkept_answers
from tasks.sessions import update_sessions
from tests.fakes import NOW, FakeCatalogueStore, World
from tests.samples import RULE, response, session_update, title

EVIL = "See https://evil.test/x"
NOTE = guardrails.declared().notes.of("en")


@pytest.fixture
def world() -> World:
    return World(RULE, FakeCatalogueStore(Catalogue([title("1", 5), title("2", 4)])))


def asked(event_id: str = "e1", session_id: str = "s") -> UpdateSession:
    return replace(session_update(event_id, session_id), answer_preview="")


def answered(answer_id: str, event_id: str = "e1", session_id: str = "s") -> UpdateSession:
    turn = session_update(event_id, session_id)
    return replace(turn, answer_preview=EVIL, answer_id=answer_id)


def checked(world: World, made: StoredResponse) -> CheckAnswer:
    world.responses.sealed[made.fingerprint] = made
    return CheckAnswer(
        event_id="c", producer="test", seq=0, occurred_at=NOW,
        response_key=made.key, stored=made.fingerprint,
    )  # fmt: skip


def unkept(text: str = EVIL, items: Sequence[str] = (), locale: Locale = "en") -> CheckUnkept:
    return CheckUnkept(
        event_id="c", producer="test", seq=0, occurred_at=NOW, answer_id="a-1", text=text,
        item_ids=tuple(items), locale=locale, is_negative=False,
    )  # fmt: skip


def previews(session: Session | None) -> list[tuple[str, bool]]:
    assert session is not None
    return [(turn.answer_preview, turn.is_retracted) for turn in session.in_order()]


def everywhere(world: World, session_id: str = "s") -> list[tuple[str, bool]]:
    """What the table has, and so has the copy."""
    stored = previews(world.sessions.get(session_id, "u"))
    assert previews(world.session_copies.copies[session_id]) == stored
    return stored


@pytest.mark.parametrize(
    "order", [*permutations("aqc"), *permutations("aqca"), *permutations("aqcc")]
)
def test_in_whatever_order_the_note_is_what_stays(world: World, order: Sequence[str]) -> None:
    made = response(EVIL)
    steps: dict[str, Callable[[], None]] = {
        "q": lambda: update_sessions([asked()], world.ports),
        "a": lambda: update_sessions([answered(made.answer_id)], world.ports),
        "c": lambda: check_answers([checked(world, made)], world.ports),
    }
    for step in order:
        steps[step]()
    assert everywhere(world) == [(NOTE, True)]


@pytest.mark.parametrize("is_check_first", [True, False])
def test_an_answer_that_is_kept_for_nobody_is_taken_back_too(
    world: World, is_check_first: bool
) -> None:
    steps: list[Callable[[], None]] = [
        lambda: update_sessions([answered("a-1")], world.ports),
        lambda: check_unkept_answers([unkept()], world.ports),
    ]
    for step in reversed(steps) if is_check_first else steps:
        step()
    assert everywhere(world) == [(NOTE, True)]
    (line,) = world.audit.lines
    assert (line.action, line.subject, line.outcome) == ("answer.retracted", "a-1", "foreign_url")
    assert "evil" not in repr(line)
    assert world.metrics.counted["events_total", "answers.check_unkept", "retracted"] == 1
    assert world.metrics.counted["guardrail_findings_total", "foreign_url"] == 1


def test_items_that_are_kept_for_nobody_are_checked(world: World) -> None:
    check_unkept_answers([unkept("Try it.", ["1", "gone"])], world.ports)
    assert [line.outcome for line in world.audit.lines] == ["unknown_item"]


def test_everybody_who_was_given_it_gets_the_note_and_nobody_else(world: World) -> None:
    made, good = response(EVIL), response("Try it.", now=NOW + 1)
    jobs = [answered(made.answer_id, f"e{n}", f"s{n % 3}") for n in range(6)]
    update_sessions([*jobs, answered(good.answer_id, "other", "s0")], world.ports)
    check_answers([checked(world, made), replace(checked(world, good), event_id="d")], world.ports)
    assert everywhere(world, "s0") == [(NOTE, True), (NOTE, True), (EVIL, False)]
    assert everywhere(world, "s1") == everywhere(world, "s2") == [(NOTE, True)] * 2


def test_the_note_is_in_the_language_of_the_answer(world: World) -> None:
    update_sessions([answered("a-1")], world.ports)
    check_unkept_answers([unkept(locale="ja")], world.ports)
    assert everywhere(world) == [(guardrails.declared().notes.ja, True)]


def test_a_retry_that_was_given_another_answer_keeps_the_first(world: World) -> None:
    update_sessions([answered("a-0")], world.ports)
    update_sessions([answered("a-1")], world.ports)
    check_unkept_answers([unkept()], world.ports)
    assert everywhere(world) == [(EVIL, False)], "what the turn has was not taken back"


@pytest.mark.parametrize("is_check_first", [True, False])
def test_a_summary_does_not_go_on_telling_it(world: World, is_check_first: bool) -> None:
    if is_check_first:
        check_unkept_answers([unkept()], world.ports)
    update_sessions([answered("a-1", "e0")], world.ports)
    later = [
        replace(session_update(f"e{n}", "s", at=NOW + n), question=f"q {n}")
        for n in range(1, LAST_TURNS + SUMMARISED_AT_ONCE)
    ]
    update_sessions(later, world.ports)
    if not is_check_first:
        stored = world.sessions.get("s", "u")
        assert stored is not None
        assert "evil" in stored.summary
        check_unkept_answers([unkept()], world.ports)
    for session in (world.sessions.get("s", "u"), world.session_copies.copies["s"]):
        assert session is not None
        assert session.summary
        assert "evil" not in session.summary
    check_unkept_answers([unkept()], world.ports)
    assert "evil" not in world.session_copies.copies["s"].summary


def test_a_summary_that_is_written_meanwhile_is_looked_at_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    update_sessions([answered("a-1", "e0")], world.ports)
    later = [session_update(f"e{n}", "s", at=NOW + n) for n in range(1, 10)]
    update_sessions([replace(job, question=job.event_id) for job in later], world.ports)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(world.sessions, "reword", lambda _session: None)
        with pytest.raises(PartlyFailed):
            check_unkept_answers([unkept()], world.ports)
    assert not world.audit.lines
    check_unkept_answers([unkept()], world.ports)
    assert "evil" not in world.session_copies.copies["s"].summary
    assert len(world.audit.lines) == 1


def test_turns_come_again_until_it_is_noted_who_has_the_answer(world: World) -> None:
    world.checks.fail = Transient("redis is gone", dependency="redis")
    jobs = [answered("a-1"), session_update("e2", "t")]
    with pytest.raises(PartlyFailed) as caught:
        update_sessions(jobs, world.ports)
    assert caught.value.reasons == {"e1": world.checks.fail}, "others need no note"
    world.checks.fail = None
    check_unkept_answers([unkept()], world.ports)
    update_sessions(jobs, world.ports)
    assert everywhere(world) == [(NOTE, True)]


@pytest.mark.parametrize("is_check_first", [True, False])
def test_a_session_that_cannot_be_written_keeps_the_job(world: World, is_check_first: bool) -> None:
    steps: list[Callable[[], None]] = [
        lambda: update_sessions([answered("a-1")], world.ports),
        lambda: check_unkept_answers([unkept()], world.ports),
    ]
    first, second = reversed(steps) if is_check_first else steps
    first()
    world.sessions.failing["s"] = Transient("throttled")
    with pytest.raises(PartlyFailed):
        second()
    del world.sessions.failing["s"]
    second()
    assert everywhere(world) == [(NOTE, True)]
