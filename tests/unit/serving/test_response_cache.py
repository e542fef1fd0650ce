"""One computation for all who ask the same, whatever becomes of it."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from adapters.msgpack_wire import decode_event
from adapters.redis_multiplexed import NotDone
from adapters.response_wire import ResponseWire
from domain.errors import Transient
from domain.events import AnswerUnkept
from domain.model import MAX_ANSWER_CHARS
from domain.response_cache import Asked, Generated, Scope
from serving.flights import Emit
from serving.response_cache import MAX_REFRESHES, Given
from tests.samples import LIFETIMES, asked, response
from tests.unit.serving.response_fakes import (
    WIRE,
    FakeModel,
    FakeResponseStore,
    Process,
    generated,
    ready_model,
)

LONG = 30.0
"""Seconds that no test waits for."""


@pytest.fixture
def store() -> FakeResponseStore:
    return FakeResponseStore()


@pytest.fixture
def process(store: FakeResponseStore) -> Process:
    return Process(store)


def text_of(given: Given | None) -> str:
    assert given is not None
    return given.response.text()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - of what nothing sends an event
        await asyncio.sleep(0)


def waiting(process: Process, one: Asked) -> int:
    return process.cache._flights.of(one.key, _never).waiting


async def _never(_flight: object) -> Given | None:
    raise AssertionError("there is no flight to join")


async def test_five_hundred_who_ask_four_processes_at_once_cost_one_computation(
    store: FakeResponseStore,
) -> None:
    processes, model = [Process(store) for _ in range(4)], FakeModel()
    asking = [
        asyncio.create_task(processes[n % 4].cache.answer(asked(), model, LONG)) for n in range(500)
    ]
    await model.asked.wait()
    model.let_go.set()
    answers = {text_of(given) for given in await asyncio.gather(*asking)}
    assert answers == {"Try Food Wars!"}
    assert model.calls == 1
    assert len(generated(store)) == 1
    assert not store.leases
    outcomes = [sum(p.counted(o) for p in processes) for o in ("computed", "hit", "nothing")]
    assert outcomes == [125, 375, 0]


async def test_the_second_question_is_answered_from_the_cache(process: Process) -> None:
    model = ready_model()
    first = await process.cache.answer(asked(), model, LONG)
    second = await process.cache.answer(asked("what is a good manga about COOKING"), model, LONG)
    assert first is not None
    assert second is not None
    assert (first.source, second.source, model.calls) == ("model", "cache", 1)
    assert second.response.body == first.response.body


async def test_everybody_hears_the_text_in_the_pieces_of_the_model(process: Process) -> None:
    model, early, late = FakeModel(), list[str](), list[str]()
    first = asyncio.create_task(process.cache.answer(asked(), model, LONG, early.append))
    await model.asked.wait()
    assert early == ["Try "]
    second = asyncio.create_task(process.cache.answer(asked(), model, LONG, late.append))
    await until(lambda: waiting(process, asked()) == 2)
    assert late == ["Try "]
    model.let_go.set()
    await asyncio.gather(first, second)
    replayed, elsewhere = list[str](), list[str]()
    await process.cache.answer(asked(), model, LONG, replayed.append)
    await Process(process.store).cache.answer(asked(), model, LONG, elsewhere.append)
    assert early == late == replayed == elsewhere == ["Try ", "Food ", "Wars!"]


async def test_half_a_surrogate_pair_costs_a_letter_and_no_answer(process: Process) -> None:
    given = await process.cache.answer(asked(), ready_model("a\ud800", "b"), LONG)
    assert text_of(given) == "a?b"
    assert list(given.response.pieces() if given else ()) == ["a?", "b"]
    assert process.store.stored


async def test_one_users_answer_is_nobody_elses(process: Process) -> None:
    scopes = [Scope(), Scope("u-1"), Scope("u-2")]
    models = [ready_model(scope.user or "public") for scope in scopes]
    for scope, model in zip(scopes, models, strict=True):
        given = await process.cache.answer(asked(scope=scope), model, LONG)
        assert text_of(given) == (scope.user or "public")
    assert [model.calls for model in models] == [1, 1, 1]


@pytest.mark.parametrize("owner", [Scope("u-1"), Scope()])
async def test_an_answer_under_another_owners_key_is_never_given(
    process: Process, owner: Scope
) -> None:
    mine = asked(scope=Scope("u-2"))
    foreign = WIRE.pack(response("a secret", of=asked(scope=owner)))
    assert foreign is not None
    process.store.stored[mine.key] = foreign
    assert process.cache.found(mine, foreign, ready_model()) is None
    given = await process.cache.answer(mine, ready_model("mine"), LONG)
    assert text_of(given) == "mine"
    assert process.store.stored[mine.key] != foreign
    assert any(key[0] == "answer_invalid_total" for key in process.registry.sums)


async def test_a_damaged_answer_is_deleted_and_made_anew(process: Process) -> None:
    stored = WIRE.pack(response("old"))
    assert stored is not None
    process.store.stored[asked().key] = stored[:-1] + b"?"
    given = await process.cache.answer(asked(), ready_model("new"), LONG)
    assert text_of(given) == "new"
    assert process.registry.sums["answer_invalid_total", "checksum"] == 1


async def test_a_sealed_body_that_holds_no_answer_is_damage_too(process: Process) -> None:
    for body in (b"", b"[", b'{"answer":{"text":1,"items":[]}', b'{"answer":[]', b'{"answer":\xff'):
        stored = WIRE.pack(replace(response("old"), body=body))
        assert stored is not None
        process.store.stored[asked().key] = stored
        given = await process.cache.answer(asked(), ready_model("new"), LONG)
        assert text_of(given) == "new"


async def test_a_failed_computation_is_not_cached_and_not_repeated_at_once(
    store: FakeResponseStore,
) -> None:
    processes = [Process(store) for _ in range(4)]
    model = FakeModel(fault=Transient("the model is throttled"))
    asking = [
        asyncio.create_task(processes[n % 4].cache.answer(asked(), model, LONG)) for n in range(40)
    ]
    await model.asked.wait()
    model.let_go.set()
    assert set(await asyncio.gather(*asking)) == {None}
    assert model.calls == 1
    assert not store.stored
    assert not store.events
    store.leases.clear()  # as Redis does, two seconds later
    given = await processes[1].cache.answer(asked(), ready_model(), LONG)
    assert text_of(given) == "Try Food Wars!"


async def test_a_stale_answer_is_given_while_the_model_fails(process: Process) -> None:
    await process.cache.answer(asked(), ready_model(), LONG)
    process.clock.now += LIFETIMES.ttl
    failing = ready_model(fault=Transient("the model is gone"))
    for _ in range(3):
        given = await process.cache.answer(asked(), failing, LONG)
        assert given is not None
        assert given.source == "stale"
        await process.cache.settled()
    assert failing.calls == 1
    assert (process.refreshed("failed"), process.refreshed("left")) == (1, 2)
    assert process.counted("stale") == 3


async def test_an_answer_is_made_anew_before_it_expires_and_nobody_waits(
    store: FakeResponseStore,
) -> None:
    processes, slow = [Process(store) for _ in range(4)], FakeModel(("new",))
    await processes[0].cache.answer(asked(), ready_model("old"), LONG)
    for one in processes:
        one.clock.now += LIFETIMES.ttl
    given = [await one.cache.answer(asked(), slow, LONG) for one in processes for _ in range(5)]
    assert {text_of(each) for each in given} == {"old"}
    await slow.asked.wait()
    slow.let_go.set()
    await asyncio.gather(*(one.cache.settled() for one in processes))
    assert slow.calls == 1
    for one in processes:
        assert text_of(await one.cache.answer(asked(), ready_model("no"), LONG)) == "new"


async def test_only_an_unlucky_reader_makes_a_fresh_answer_anew(process: Process) -> None:
    slow = FakeModel(("new",))
    first = asyncio.create_task(process.cache.answer(asked(), slow, LONG))
    await slow.asked.wait()
    process.clock.now += 2.0  # so long the computation takes
    slow.let_go.set()
    await first
    process.clock.now += LIFETIMES.ttl - 5.0
    process.chance = 0.5
    await process.cache.answer(asked(), slow, LONG)
    await process.cache.settled()
    assert slow.calls == 1
    process.chance = 0.99
    given = await process.cache.answer(asked(), slow, LONG)
    await process.cache.settled()
    assert given is not None
    assert (given.source, slow.calls) == ("cache", 2)


async def test_a_negative_answer_is_cached_shortly_and_not_made_anew(process: Process) -> None:
    model = ready_model("There is none.")
    model.is_negative = True
    given = await process.cache.answer(asked(), model, LONG)
    assert given is not None
    assert given.response.hard_expires_at == process.clock.now + LIFETIMES.negative_ttl
    process.clock.now += LIFETIMES.negative_ttl - 0.1
    process.chance = 0.999_999
    await process.cache.answer(asked(), model, LONG)
    await process.cache.settled()
    assert model.calls == 1


async def test_a_client_who_leaves_stops_the_model_when_nobody_else_waits(process: Process) -> None:
    model = FakeModel()
    one, two = (asyncio.create_task(process.cache.answer(asked(), model, LONG)) for _ in range(2))
    await model.asked.wait()
    one.cancel()
    await asyncio.gather(one, return_exceptions=True)
    assert model.cancelled == 0
    two.cancel()
    await asyncio.gather(two, return_exceptions=True)
    await until(lambda: not process.store.leases)
    assert model.cancelled == 1
    assert text_of(await process.cache.answer(asked(), ready_model("next"), LONG)) == "next"


async def test_who_leaves_while_a_lease_is_asked_for_gives_it_back(process: Process) -> None:
    process.store.replies, model = asyncio.Event(), ready_model()
    asking = asyncio.create_task(process.cache.answer(asked(), model, LONG))
    await until(lambda: bool(process.store.leases))
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await until(lambda: not process.store.leases)
    assert model.calls == 0


async def test_closing_while_a_refresh_asks_for_its_lease_gives_it_back(process: Process) -> None:
    await process.cache.answer(asked(), ready_model(), LONG)
    await process.cache.settled()
    stored, process.clock.now = process.store.stored[asked().key], process.clock.now + LIFETIMES.ttl
    process.store.replies = asyncio.Event()
    assert process.cache.found(asked(), stored, ready_model()) is not None
    await until(lambda: bool(process.store.leases))
    await process.cache.close()
    assert not process.store.leases


async def test_who_comes_when_the_last_one_has_just_left_starts_anew(process: Process) -> None:
    left = FakeModel()
    leaving = asyncio.create_task(process.cache.answer(asked(), left, LONG))
    await left.asked.wait()
    leaving.cancel()
    await asyncio.sleep(0)
    given = await process.cache.answer(asked(), ready_model("next"), LONG)
    assert text_of(given) == "next"


async def test_who_has_no_time_left_gets_nothing_and_the_next_one_the_answer(
    process: Process,
) -> None:
    model = FakeModel()
    assert await process.cache.answer(asked(), model, 0.01) is None
    assert model.cancelled == 0
    model.let_go.set()
    given = await process.cache.answer(asked(), model, LONG)
    assert text_of(given) == "Try Food Wars!"
    assert model.calls == 1
    assert process.counted("nothing") == 1


async def test_those_who_wait_for_another_process_that_died_get_its_lease(
    store: FakeResponseStore, process: Process
) -> None:
    store.leases[asked().key] = "of a process that died"
    patient = asyncio.create_task(process.cache.answer(asked(), ready_model(), LONG))
    await until(lambda: store.claims > 1)
    store.leases.clear()  # it has expired
    assert text_of(await patient) == "Try Food Wars!"


async def test_nobody_looks_on_for_an_answer_that_nobody_waits_for(
    store: FakeResponseStore, process: Process
) -> None:
    store.leases[asked().key] = "of another process"
    assert await process.cache.answer(asked(), ready_model(), 0.001) is None
    await until(lambda: not process.cache._flights._tasks)
    assert not store.stored


async def test_without_redis_each_process_computes_once_and_spools_the_event(
    process: Process,
) -> None:
    process.store.fault = Transient("Redis does not answer")
    model = FakeModel()
    asking = [asyncio.create_task(process.cache.answer(asked(), model, LONG)) for _ in range(20)]
    await model.asked.wait()
    model.let_go.set()
    assert {text_of(given) for given in await asyncio.gather(*asking)} == {"Try Food Wars!"}
    assert model.calls == 1
    assert [kind for kind, _ in process.sink.kept] == ["answer.generated"]


async def test_an_event_that_the_outbox_did_not_take_is_spooled(process: Process) -> None:
    process.store.unwritten = NotDone("OOM")
    await process.cache.answer(asked(), ready_model(), LONG)
    assert [kind for kind, _ in process.sink.kept] == ["answer.generated"]


async def test_a_content_that_was_taken_back_is_not_given_again(process: Process) -> None:
    process.store.retracted.add(response("bad", items=[]).fingerprint)
    assert await process.cache.answer(asked(), ready_model("bad"), LONG) is None
    assert not process.store.stored
    assert text_of(await process.cache.answer(asked(), ready_model("good"), LONG)) == "good"


async def test_a_fault_of_the_caller_is_told_and_frees_the_lease(process: Process) -> None:
    with pytest.raises(ZeroDivisionError):
        await process.cache.answer(asked(), ready_model(fault=ZeroDivisionError()), LONG)
    assert set(process.store.leases.values()) == {"!"}


async def test_an_answer_too_large_to_keep_is_given_all_the_same(process: Process) -> None:
    letters = "".join(chr(0x4E00 + (n * n * 31 + n * 17) % 20_000) for n in range(400_000))
    given = await process.cache.answer(asked(), ready_model(letters), LONG)
    assert text_of(given) == letters
    assert not process.store.stored
    assert not process.store.leases


async def test_refreshes_are_bounded(process: Process) -> None:
    questions = [asked(f"question {n}") for n in range(MAX_REFRESHES + 3)]
    for one in questions:
        await process.cache.answer(one, ready_model(), LONG)
    process.clock.now += LIFETIMES.ttl
    slow = FakeModel()
    for one in questions:
        await process.cache.answer(one, slow, LONG)
    assert process.refreshed("dropped") == 3
    slow.let_go.set()
    await process.cache.settled()
    assert slow.calls == MAX_REFRESHES


async def test_closing_stops_the_model_and_gives_the_leases_back(process: Process) -> None:
    model = FakeModel()
    patient = asyncio.create_task(process.cache.answer(asked(), model, LONG))
    await model.asked.wait()
    await process.cache.close()
    assert await patient is None
    assert model.cancelled == 1
    assert not process.store.leases


async def test_bytes_that_were_read_already_are_given_at_once(process: Process) -> None:
    await process.cache.answer(asked(), ready_model(), LONG)
    stored, heard = process.store.stored[asked().key], list[str]()
    given = process.cache.found(asked(), stored, ready_model(), heard.append)
    assert text_of(given) == "".join(heard) == "Try Food Wars!"
    assert len(heard) == 3
    assert process.cache.found(asked("Another question"), stored, ready_model()) is None


async def test_what_cannot_be_sealed_or_is_too_large_is_checked_and_not_kept(
    store: FakeResponseStore,
) -> None:
    chance = random.Random(7)

    def noise() -> str:
        """What nothing can compress well."""
        return "".join(chr(chance.randrange(0x10000, 0x20000)) for _ in range(MAX_ANSWER_CHARS))

    large, items = noise(), [{"id": f"t{n}", "title": noise()} for n in range(3)]
    for wire, text in ((ResponseWire("", compress_bytes=1024), "See x"), (WIRE, large)):
        process = Process(store, wire=wire)

        async def compute(emit: Emit, text: str = text) -> Generated:
            emit(text)
            return Generated(text, items)

        given = await process.cache.answer(asked(text[:9]), compute, LONG)
        assert text_of(given) == text
        await process.cache.settled()
        event = decode_event(store.events[-1])
        assert isinstance(event, AnswerUnkept)
        assert (event.text, event.item_ids) == (text, ("t0", "t1", "t2"))
        assert given is not None
        assert event.answer_id == given.response.answer_id
    assert not store.stored
    assert not store.leases, "whoever asks next may compute"


async def test_what_is_only_to_be_checked_is_spooled_where_redis_does_not_take_it(
    store: FakeResponseStore,
) -> None:
    process = Process(store, wire=ResponseWire("", compress_bytes=1024))
    store.unwritten = NotDone("full")
    await process.cache.answer(asked(), ready_model(), LONG)
    await process.cache.settled()
    ((kind, event),) = process.sink.kept
    assert kind == "answer.unkept"
    assert isinstance(event, AnswerUnkept)
    assert event.text == "Try Food Wars!"
