"""What the queue does with the model's answers: keeps them, checks them, takes them back."""

import pytest

from domain.catalogue import Catalogue
from domain.errors import PartlyFailed, Transient
from domain.jobs import CheckAnswer, WriteResponse
from domain.response_cache import StoredResponse
from tasks.guardrails import check_answers
from tasks.responses import write_responses
from tests.fakes import NOW, FakeCatalogueStore, World
from tests.samples import LIFETIMES, RULE, response, title


@pytest.fixture
def world() -> World:
    return World(RULE, FakeCatalogueStore(Catalogue([title("1", 5), title("2", 4)])))


def write(world: World, made: StoredResponse) -> WriteResponse:
    stored = sealed(world, made)
    return WriteResponse(
        event_id=f"e-{made.version}", producer="test", seq=0, occurred_at=NOW,
        response_key=made.key, stored=stored,
    )  # fmt: skip


def checked(world: World, made: StoredResponse) -> CheckAnswer:
    stored = sealed(world, made)
    return CheckAnswer(
        event_id=f"e-{made.version}", producer="test", seq=0, occurred_at=NOW,
        response_key=made.key, stored=stored,
    )  # fmt: skip


def sealed(world: World, made: StoredResponse) -> bytes:
    stored = made.fingerprint + str(made.version).encode()
    world.responses.sealed[stored] = made
    return stored


def test_a_new_response_is_kept_until_its_hard_expiry(world: World) -> None:
    made = response()
    write_responses([write(world, made)], world.ports)
    assert world.responses.kept[made.key] == (made, LIFETIMES.hard_ttl)
    assert world.metrics.counted["events_total", "response.write", "applied"] == 1


def test_a_response_that_waited_in_the_queue_too_long_is_left_out(world: World) -> None:
    job = write(world, response(is_negative=True))
    world.clock.now += LIFETIMES.negative_ttl
    write_responses([job], world.ports)
    assert not world.responses.kept
    assert world.metrics.counted["events_total", "response.write", "expired"] == 1


def test_responses_in_any_order_leave_the_newest(world: World) -> None:
    old, new = response("old"), response("new", now=NOW + 1)
    write_responses([write(world, new), write(world, old), write(world, new)], world.ports)
    assert world.responses.kept[new.key][0] == new
    assert world.metrics.counted["superseded_total", "response.write"] == 1


def test_a_write_that_fails_costs_one_computation_and_no_retry(world: World) -> None:
    world.responses.fail = Transient("Redis does not answer", dependency="redis")
    write_responses([write(world, response())], world.ports)
    assert world.metrics.counted["cache_write_failures_total",] == 1


def test_bytes_that_nobody_sealed_are_parked(world: World) -> None:
    job = WriteResponse(
        event_id="e", producer="p", seq=0, occurred_at=NOW, response_key="k", stored=b"forged"
    )
    with pytest.raises(PartlyFailed) as caught:
        write_responses([job, write(world, response())], world.ports)
    assert caught.value.permanent
    assert len(world.responses.kept) == 1


def test_a_good_answer_passes_and_stays(world: World) -> None:
    made = response("『題1』はいかがですか。", items=[{"id": "1"}])
    write_responses([write(world, made)], world.ports)
    check_answers([checked(world, made)], world.ports)
    assert made.key in world.responses.kept
    assert not world.audit.lines
    assert world.metrics.counted["events_total", "answers.check", "passed"] == 1


@pytest.mark.parametrize("is_write_first", [True, False])
def test_an_answer_that_fails_is_taken_back_and_said_so(world: World, is_write_first: bool) -> None:
    made = response("See https://evil.test/x", items=[{"id": "gone"}])
    writing, checking = write(world, made), checked(world, made)
    if is_write_first:
        write_responses([writing], world.ports)
    check_answers([checking], world.ports)
    if not is_write_first:
        write_responses([writing], world.ports)
    assert not world.responses.kept
    (line,) = world.audit.lines
    assert line.action == "answer.retracted"
    assert line.subject == made.key
    assert line.outcome == "foreign_url,unknown_item"
    assert "evil" not in repr(line)
    assert world.metrics.counted["guardrail_findings_total", "foreign_url"] == 1


def test_an_answer_that_may_name_what_there_is_not(world: World) -> None:
    made = response("『無い本』はありません。", is_negative=True)
    check_answers([checked(world, made)], world.ports)
    assert not world.audit.lines


def test_a_retraction_whose_audit_line_was_not_taken_comes_again(world: World) -> None:
    made = response("")
    job = checked(world, made)
    world.audit.refusing[job.event_id] = "throttled"
    with pytest.raises(PartlyFailed) as caught:
        check_answers([job], world.ports)
    assert not caught.value.permanent
    assert (made.key, made.fingerprint) in world.responses.retracted
    world.audit.refusing.clear()
    check_answers([job], world.ports)
    assert len(world.audit.lines) == 1
