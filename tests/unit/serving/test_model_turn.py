"""Questions that no precomputed answer fits, from the round trip to the ladder's last step."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from adapters.redis_multiplexed import Late, NotDone
from config import budgets
from config.budgets import Budgets
from config.errors import ConfigError
from config.models import Rate, Spending
from domain import reactions
from domain.answers import Answer, AnswerKey, store
from domain.catalogue import item
from domain.errors import Permanent, Transient
from domain.events import AnswerUnkept, QuestionTaken
from domain.preferences import Preferences
from domain.questions import Question, QuestionKind
from domain.routing import Size
from domain.sessions import Session, Turn
from serving.answers import BuiltInAnswers
from serving.context import TRENDING, Context
from serving.models import ChatReply
from tests import unhurried
from tests.samples import LIFETIMES
from tests.unit.serving.fakes import NOW, FakeExchange, stored
from tests.unit.serving.jumping import run
from tests.unit.serving.model_desk import FALLBACK, MAX_CHARS, TITLES, model_desk
from tests.unit.serving.response_fakes import WIRE, FakeResponseStore

DARK = "a dark title"


def read(exchange: FakeExchange) -> ChatReply:
    assert exchange.status == 200
    return msgspec.json.decode(exchange.answer, type=ChatReply)


def rung(exchange: FakeExchange) -> str:
    return exchange.lines.decode().partition('rung;desc="')[2].partition('"')[0]


def talked(*questions: str, session: str = "s-1", owner: str = "") -> Context:
    turns = [
        Turn(f"e{n}", f"m{n}", text, "an answer", float(n)) for n, text in enumerate(questions)
    ]
    return Context(0.0, Session(session, owner).with_turns(turns), is_sure=True)


async def test_a_first_question_is_answered_by_the_model_from_what_was_found() -> None:
    desk = model_desk()
    exchange = await desk.ask(DARK)
    reply = read(exchange)
    assert (reply.source, reply.answer.kind, reply.answer.text) == ("model", "chat", "Title b.")
    assert [item.id for item in reply.answer.items] == ["b"], "only what the answer speaks of"
    (prompt,) = desk.model.prompts
    assert [name in prompt.messages[-1].text for name in ("Title a", "Title b")] == [True, True]
    assert rung(exchange) == "fresh"
    for segment in (b"context", b"redis", b"search", b"prompt", b"model", b"total"):
        assert segment + b";dur=" in exchange.lines


async def test_the_question_is_recorded_at_once_and_its_answer_before_it_goes_out() -> None:
    desk = model_desk()
    reply = read(await desk.ask(DARK, "alice"))
    taken, _ = desk.path.stock.events
    assert isinstance(taken, QuestionTaken)
    (completed,) = desk.completed()
    assert (taken.question, taken.owner, taken.event_id) == (DARK, "alice", reply.event_id)
    assert (completed.asked_event_id, completed.answer_preview) == (reply.event_id, "Title b.")
    assert (completed.source, completed.rung, completed.owner) == ("model", "fresh", "alice")
    assert completed.event_id != taken.event_id
    assert desk.path.sink.copied == [taken, completed], "what the outbox loses is sent again"


@pytest.mark.parametrize("fault", [NotDone("read only"), Late("late")])
async def test_a_completion_that_redis_does_not_take_is_spooled(fault: Transient) -> None:
    desk = model_desk()
    desk.path.stock.append_faults = {0: fault}
    assert read(await desk.ask(DARK)).source == "model"
    ((kind, event),) = desk.path.sink.kept
    assert (kind, event) == ("answer.completed", desk.completed()[0])


async def test_the_same_question_comes_from_the_cache_in_the_one_round_trip() -> None:
    desk = model_desk()
    await desk.ask(DARK)
    claims, calls = desk.process.store.claims, desk.path.stock.calls
    exchange = await desk.ask("A dark  TITLE?", "bob", "s-2")
    assert (read(exchange).source, read(exchange).answer.text) == ("cache", "Title b.")
    assert len(desk.model.prompts) == 1
    assert (desk.process.store.claims, desk.path.stock.calls) == (claims, calls + 1)
    assert len(desk.completed()) == 1, "the outbox has the answer beside the question"


async def test_an_answer_with_a_history_is_its_users_alone() -> None:
    desk = model_desk()
    for user in ("alice", "bob"):
        desk.contexts.known[f"s-{user}"] = talked(f"{user} asked", session=f"s-{user}", owner=user)
        assert read(await desk.ask(DARK, user, f"s-{user}")).source == "model"
    mine, theirs = desk.model.prompts
    assert "alice asked" in mine.messages[0].text
    assert "alice" not in repr(theirs)
    assert len(desk.process.store.stored) == 2, "a key for each"
    assert read(await desk.ask(DARK, "alice", "s-alice")).source == "cache"


async def test_what_refers_to_the_customer_is_not_public() -> None:
    desk = model_desk()
    context = talked(session="s-a", owner="alice")
    desk.contexts.known["s-a"] = Context(
        0.0, context.session, Preferences((), ("action",)), ("b", "gone"), is_sure=True
    )
    await desk.ask("a title for me", "alice", "s-a")
    await desk.ask("a title for me", "bob", "s-b")
    mine, theirs = desk.model.prompts
    told = '<customer>{"favourite_genres":["action"],"recent_titles":["Title b"]}</customer>'
    assert told in mine.messages[-1].text
    assert "<customer>" not in theirs.messages[-1].text
    assert len(desk.process.store.stored) == 2


async def test_a_customers_tastes_go_into_an_answer_of_the_customers_own_alone() -> None:
    desk = model_desk()
    genres = {"favourite_genres": ["drama", "action"], "favourite_demographic": ["shonen"]}
    desk.contexts.known["s-a"] = Context(
        0.0, Session("s-a", "alice"), Preferences((), ("action",)), tastes=genres, is_sure=True
    )
    await desk.ask("a title for me", "alice", "s-a")
    await desk.ask(DARK, "alice", "s-a")
    mine, everybodys = desk.model.prompts
    told = '{"favourite_genres":["action","drama"],"favourite_demographic":["shonen"]}'
    assert f"<customer>{told}</customer>" in mine.messages[-1].text
    assert "alice" not in repr(mine)
    assert "<customer>" not in everybodys.messages[-1].text
    desk.contexts.known["s-a"] = replace(desk.contexts.known["s-a"], tastes={})
    assert read(await desk.ask("a title for me", "alice", "s-a")).source == "model", "another key"


def counted(*scores: float) -> bytes:
    """The body of a stored trending answer over the first titles."""
    items = [{"id": id_, "score": score} for id_, score in zip("abc", scores, strict=False)]
    return json.dumps({"answer": {"items": items}})[:-1].encode()


@pytest.mark.parametrize(
    ("trending", "expected", "shown"),
    [
        (counted(3.0, 0.5, 0.0), "trending", ["a", "b"]),
        (counted(0.0, 0.0), "generic", []),
        (b"", "generic", []),
        (b"{", "generic", []),
    ],
)
async def test_where_nothing_was_found_what_draws_attention_is_shown(
    trending: bytes, expected: str, shown: Sequence[str]
) -> None:
    desk = model_desk()
    desk.search.fail = Transient("slow")
    desk.contexts.known["s-1"] = replace(talked("before"), trending=trending)
    exchange = await desk.ask(DARK)
    reply = read(exchange)
    assert (rung(exchange), [item.id for item in reply.answer.items]) == (expected, shown)
    assert (reply.source, reply.answer.kind) == ("fallback", "fallback")


async def test_a_new_session_is_shown_what_the_process_knows_of_trending() -> None:
    desk = model_desk()
    desk.search.fail = Transient("slow")
    answer = Answer(TRENDING, "many look at these", [{**item(TITLES[1], "en"), "score": 2.0}])
    key, stored_ = (
        TRENDING.redis_key(),
        store(answer, version=1, now=NOW, ttl_seconds=60, hard_ttl_seconds=600),
    )
    desk.path.chat.desk.seen.learn(key, stored_.pack())
    exchange = await desk.ask(DARK)
    assert [one.id for one in read(exchange).answer.items] == ["b"]
    assert "Title b" in read(exchange).answer.text


async def test_preferences_stay_out_of_what_everybody_may_be_given() -> None:
    desk = model_desk()
    session = Session("s-a", "alice")
    desk.contexts.known["s-a"] = Context(
        0.0, session, Preferences((), ("action",)), ("a",), is_sure=True
    )
    await desk.ask(DARK, "alice", "s-a")
    (prompt,) = desk.model.prompts
    assert "<customer>" not in prompt.messages[-1].text
    assert read(await desk.ask(DARK, "bob", "s-b")).source == "cache"


async def test_somebody_unknown_with_a_history_shares_nothing() -> None:
    desk = model_desk()
    desk.contexts.known["s-1"] = talked("before")
    for _ in range(2):
        assert read(await desk.ask(DARK)).source == "model"
    assert not desk.process.store.stored
    assert [one.answer_preview for one in desk.completed()] == ["Title b."] * 2


async def test_what_is_kept_for_nobody_is_checked_all_the_same() -> None:
    desk = model_desk()
    desk.contexts.known["s-1"] = talked("before")
    for _ in range(2):
        await desk.ask(DARK)
    first, second = (e for e in desk.path.stock.events if isinstance(e, AnswerUnkept))
    assert (first.text, first.item_ids, first.locale) == ("Title b.", ("b",), "en")
    assert [job.kind for job in reactions.react(first)] == ["answers.check_unkept"]
    assert first.answer_id != second.answer_id, "each turn has an answer of its own"
    assert [one.answer_id for one in desk.completed()] == [first.answer_id, second.answer_id]


@pytest.mark.parametrize("user", ["", "alice"])
async def test_what_may_follow_on_something_unknown_is_not_everybodys(user: str) -> None:
    desk = model_desk()
    desk.contexts.known["s-1"] = Context(0.0, Session("s-1", user))
    await desk.ask(DARK, user)
    assert len(desk.process.store.stored) == (1 if user else 0)
    assert read(await desk.ask(DARK, "bob", "s-2")).source == "model"


@pytest.mark.parametrize(("session", "is_told"), [("s" * 21, False), ("s" * 22, True)])
async def test_of_a_session_that_could_be_guessed_nothing_is_told(
    session: str, is_told: bool
) -> None:
    desk = model_desk()
    desk.contexts.known[session] = talked("a secret", session=session)
    await desk.ask(DARK, session=session)
    assert ("a secret" in repr(desk.model.prompts)) is is_told
    assert not desk.process.store.stored, "what was asked may go on from it all the same"


async def test_a_retry_completes_the_same_turn_by_the_same_event() -> None:
    desk = model_desk()
    for message_id in ("m-1", "m-1", "m-2"):
        desk.process.store.stored.clear()
        desk.path.stock.answers = {FALLBACK: stored("fallback")}
        await desk.ask(DARK, "alice", message_id=message_id)
    first, again, other = desk.completed()
    assert first.event_id == again.event_id != other.event_id


def spending(*, user: int = 99, strangers: int = 99, flights: int = 99) -> Spending:
    return Spending(
        user=Rate(per_minute=1, burst=user),
        anonymous=Rate(per_minute=1, burst=strangers),
        max_flights=flights,
    )


@pytest.mark.parametrize(
    ("user", "allowed"), [("alice", spending(user=1)), ("", spending(strangers=1))]
)
async def test_who_has_spent_enough_gets_the_next_step_of_the_ladder(
    user: str, allowed: Spending
) -> None:
    desk = model_desk(spending=allowed)
    assert rung(await desk.ask(DARK, user)) == "fresh"
    refused = await desk.ask("a title of another kind", user, "s-2")
    assert (read(refused).source, len(desk.model.prompts)) == ("fallback", 1)
    assert desk.path.registry.sums["model_calls_total", "small", "throttled"] == 1
    assert read(await desk.ask(DARK, user, "s-3")).source == "cache", "what is kept costs nothing"
    assert rung(await desk.ask("a title of a third kind", "bob", "s-4")) == "fresh"


def test_no_more_answers_are_made_at_once_than_declared() -> None:
    async def steps() -> None:
        desk = model_desk(spending=spending(flights=2))
        desk.contexts.known["s-told"] = talked("before", session="s-told")
        desk.model.seconds_before_first = 0.01
        first = desk.begin(DARK), desk.begin("a title", session="s-told")
        shared, other = desk.begin(DARK, session="s-3"), desk.begin("a title", session="s-4")
        await desk.settled()
        assert [read(one).source for one in (*first, shared)] == ["model"] * 3
        assert (read(other).source, len(desk.model.prompts)) == ("fallback", 2)
        assert desk.path.registry.sums["model_calls_total", "small", "crowded"] == 1
        assert read(await desk.ask("a title", session="s-5")).source == "model"

    run(steps())


async def test_who_has_spent_enough_is_given_what_is_kept_of_a_title() -> None:
    desk = model_desk(spending=spending(strangers=1))
    desk.path.chat.classify = lambda _message, _locale: Question(QuestionKind.TITLE, "b", "en")
    assert read(await desk.ask("title b")).source == "model"
    assert read(await desk.ask("title b", session="s-2")).source == "cache"
    assert len(desk.model.prompts) == 1


def test_who_finds_that_another_process_makes_it_ends_its_search() -> None:
    async def steps() -> None:
        store = FakeResponseStore()
        one, other = model_desk(store), model_desk(store)
        one.model.seconds_between = 0.05
        exchanges = one.begin(DARK), other.begin(DARK, session="s-2")
        await one.settled()
        await other.settled()
        assert [read(exchange).source for exchange in exchanges] == ["model", "cache"]
        assert len(one.model.prompts) + len(other.model.prompts) == 1

    run(steps())


async def test_hard_questions_go_to_the_large_model() -> None:
    desk = model_desk()
    await desk.ask("a title")
    await desk.ask("compare title a and title b", session="s-2")
    assert desk.models.sizes == [Size.SMALL, Size.LARGE]


async def test_who_asks_the_same_at_once_costs_one_call() -> None:
    desk = model_desk()
    exchanges = [desk.begin(DARK, session=f"s-{n}") for n in range(50)]
    await desk.settled()
    assert {read(exchange).source for exchange in exchanges} == {"model"}
    assert len(desk.model.prompts) == 1
    assert len(desk.completed()) == 50, "each turn has its own completion"


def test_tokens_come_as_they_are_made_and_again_from_the_cache() -> None:
    async def steps() -> None:
        desk = model_desk()
        for source in ("model", "cache"):
            listener, _ = desk.say(DARK)
            await listener.answered_at.wait()
            assert listener.tokens == ["Title ", "b."]
            assert listener.reply is not None
            assert listener.reply["source"] == source

    run(steps())


def test_an_answer_that_breaks_off_is_neither_given_nor_kept() -> None:
    async def steps() -> None:
        desk = model_desk()
        desk.model.fail, desk.model.fails_after = Transient("cut"), 1
        listener, _ = desk.say(DARK)
        await listener.answered_at.wait()
        assert listener.tokens == ["Title "]
        assert listener.reply is not None
        assert listener.reply["source"] == "fallback"
        assert not desk.process.store.stored
        assert desk.completed()[0].rung == "found"

    run(steps())


def test_an_answer_without_end_is_given_up_and_is_neither_given_nor_kept() -> None:
    async def steps() -> None:
        desk = model_desk()
        desk.model.pieces = ("x" * MAX_CHARS, "y", "never asked for")
        listener, _ = desk.say(DARK)
        await listener.answered_at.wait()
        assert listener.tokens == ["x" * MAX_CHARS]
        assert listener.reply is not None
        assert listener.reply["source"] == "fallback"
        assert not desk.process.store.stored

    run(steps())


@pytest.mark.parametrize(
    ("broken", "expected"),
    [("model", "found"), ("search", "generic"), ("search, generic", "canned")],
)
async def test_the_ladder_answers_where_the_model_cannot(broken: str, expected: str) -> None:
    desk = model_desk()
    if broken == "model":
        desk.model.fail = Transient("throttled")
    else:
        desk.search.fail = Transient("slow")
    if "generic" in broken:
        del desk.path.stock.answers[FALLBACK]
    exchange = await desk.ask(DARK)
    reply = read(exchange)
    assert (reply.source, reply.answer.kind, rung(exchange)) == ("fallback", "fallback", expected)
    assert desk.path.registry.sums["ladder_answers_total", expected] == 1
    (completed,) = desk.completed()
    assert (completed.rung, completed.answer_preview) == (expected, reply.answer.text[:200])


async def test_what_was_made_of_half_a_search_is_kept_for_a_moment() -> None:
    desk = model_desk()
    desk.search.is_partial = True
    await desk.ask(DARK)
    ((key, kept),) = desk.process.store.stored.items()
    response = WIRE.unpack(kept, key)
    assert response.hard_expires_at - response.generated_at == LIFETIMES.negative_ttl
    assert not response.is_negative


async def test_titles_are_shown_where_the_model_is_silent() -> None:
    desk = model_desk()
    desk.model.fail = Permanent("withheld")
    reply = read(await desk.ask(DARK))
    assert [item.id for item in reply.answer.items] == ["a", "b", "c"]
    assert "Title a" in reply.answer.text


async def test_the_response_of_the_catalogue_before_is_better_than_none() -> None:
    desk = model_desk()
    await desk.ask(DARK)
    desk.versions[:] = ["3", "2"]
    desk.model.fail = Transient("down")
    exchange = await desk.ask(DARK, session="s-2")
    assert (read(exchange).source, rung(exchange)) == ("stale", "previous")
    assert read(exchange).answer.text == "Title b."


def with_ladder(*rungs: str) -> Budgets:
    table = unhurried.budgets()
    chat = msgspec.structs.replace(table.routes["chat"], ladder=rungs)
    return Budgets(routes={**table.routes, "chat": chat})


async def test_the_ladder_is_as_it_is_declared() -> None:
    desk = model_desk(table=with_ladder("generic", "canned"))
    exchange = await desk.ask(DARK)
    assert (rung(exchange), desk.model.prompts) == ("generic", [])


@pytest.mark.parametrize("ladder", [["fresh"], ["fresh", "fresh", "canned"]])
def test_a_ladder_that_may_fail_is_refused(ladder: Sequence[str]) -> None:
    table = with_ladder(*ladder)
    with pytest.raises(ConfigError, match=r"routes\.chat\.ladder"):
        budgets.check(table)


def test_a_model_that_is_late_is_waited_for_as_long_as_the_budget_says() -> None:
    async def steps() -> None:
        desk = model_desk(table=budgets.declared())
        desk.model.seconds_before_first = 3.0
        loop = asyncio.get_running_loop()
        exchange = desk.begin(DARK)
        while not exchange.status:  # noqa: ASYNC110 - no second passes
            await asyncio.sleep(0.01)
        assert loop.time() < 2.0
        assert rung(exchange) == "found"
        await asyncio.sleep(3.0)
        assert desk.process.store.stored, "whoever asks next finds what was made meanwhile"
        assert read(await desk.ask(DARK, session="s-2")).source == "cache"

    run(steps())


def test_a_reader_of_the_beginning_waits_for_the_rest() -> None:
    async def steps() -> None:
        desk = model_desk(table=budgets.declared())
        desk.model.seconds_between = 4.0
        listener, _ = desk.say(DARK)
        await listener.answered_at.wait()
        assert asyncio.get_running_loop().time() > 2.0
        assert listener.reply is not None
        assert listener.reply["source"] == "model"

    run(steps())


@pytest.mark.parametrize("history", [(), ("before",)])
def test_when_the_last_client_leaves_the_call_ends(history: Sequence[str]) -> None:
    async def steps() -> None:
        desk = model_desk()
        desk.model.seconds_between = 1.0
        (first, one), (_, other) = (desk.say(DARK, talked(*history)) for _ in range(2))
        await first.heard.wait()
        running = desk.model.running
        one.abandon()
        await asyncio.sleep(0.1)
        assert desk.model.running == running - bool(history), "another one waits for the same"
        other.abandon()
        await desk.settled()
        await asyncio.sleep(0)
        assert desk.model.running == 0
        assert not desk.process.store.stored
        assert not desk.completed()

    run(steps())


async def test_a_mistake_of_ours_is_a_problem_document_and_no_silence() -> None:
    desk = model_desk(table=with_ladder("canned"))

    def mistaken(locale: str) -> Answer:
        raise RuntimeError("a mistake")

    desk.path.chat.desk = replace(desk.path.chat.desk, built_in=BuiltInAnswers(mistaken))
    exchange = await desk.ask(DARK)
    assert exchange.status == 500
    assert b"a mistake" not in exchange.answer


def test_an_http_client_that_leaves_ends_the_call_too() -> None:
    async def steps() -> None:
        desk = model_desk()
        desk.model.seconds_before_first = 1.0
        exchange = desk.begin(DARK)
        while not desk.model.running:  # noqa: ASYNC110 - no second passes
            await asyncio.sleep(0.01)
        exchange.leave()
        await desk.settled()
        await asyncio.sleep(0)
        assert desk.model.running == 0
        assert not exchange.status

    run(steps())


async def test_without_redis_the_model_answers_all_the_same() -> None:
    desk = model_desk()
    desk.path.stock.fault = NotDone("down")
    desk.path.stock.append_faults = {0: NotDone("down")}
    desk.process.store.fault = Transient("down")
    assert read(await desk.ask(DARK)).source == "model"
    kinds = [kind for kind, _ in (*desk.path.sink.kept, *desk.process.sink.kept)]
    assert kinds == ["question.taken", "answer.completed", "answer.generated"]


async def test_a_title_with_a_stored_answer_needs_no_model() -> None:
    desk = model_desk()
    desk.path.chat.classify = lambda _message, _locale: Question(QuestionKind.TITLE, "b", "en")
    key = AnswerKey("title", "b", "en")
    desk.path.stock.answers[key.redis_key()] = stored(key=key)
    assert read(await desk.ask("title b")).source == "precomputed"
    assert not desk.model.prompts
    assert not desk.completed()


async def test_a_title_without_one_is_told_of_by_the_model() -> None:
    desk = model_desk()
    desk.path.chat.classify = lambda _message, _locale: Question(QuestionKind.TITLE, "b", "en")
    reply = read(await desk.ask("title b"))
    assert (reply.source, reply.answer.kind) == ("model", "chat")
    assert [item.id for item in reply.answer.items] == ["b"]


async def test_a_completion_names_the_answer_that_it_tells_of() -> None:
    desk = model_desk()
    await desk.ask(DARK)
    ((key, kept),) = desk.process.store.stored.items()
    (completed,) = desk.completed()
    assert completed.answer_id == WIRE.unpack(kept, key).answer_id
    desk.model.fail = Transient("down")
    await desk.ask("a title", session="s-2")
    assert desk.completed()[-1].answer_id == "", "the ladder's own can not be taken back"


async def test_a_first_question_over_http_takes_one_round_trip_where_its_answer_is_kept() -> None:
    desk = model_desk()
    await desk.ask(DARK)
    calls, claims = desk.path.stock.calls, desk.process.store.claims
    exchange = await desk.ask(DARK, "alice", "s-2")
    assert read(exchange).source == "cache"
    assert (desk.path.stock.calls, desk.process.store.claims) == (calls + 1, claims)
    assert not desk.contexts.reads, "of a new session nothing is to be known"
    assert b"context;dur=" in exchange.lines


async def test_a_later_question_is_not_given_the_answer_of_a_first_one() -> None:
    desk = model_desk()
    await desk.ask(DARK)
    desk.contexts.known["s-2"] = talked("before", session="s-2", owner="alice")
    reply = read(await desk.ask(DARK, "alice", "s-2"))
    assert (reply.source, len(desk.model.prompts)) == ("model", 2)
    assert desk.contexts.reads == [("s-2", False)]
    assert [one.asked_event_id for one in desk.completed()][-1] == reply.event_id


async def test_what_was_said_is_read_while_titles_are_searched() -> None:
    desk = model_desk()
    desk.contexts.known["s-1"] = talked("a title", owner="alice")
    desk.contexts.gate.clear()
    exchange = desk.begin(DARK, "alice")
    await desk.search.asked.wait()
    assert not exchange.status
    desk.contexts.gate.set()
    await desk.settled()
    assert read(exchange).source == "model"
    assert [wanted.text for wanted in desk.search.wanted] == [DARK, f"{DARK} a title an answer"]


@pytest.mark.parametrize("fault", [NotDone("down"), Late("late")])
async def test_a_question_of_which_redis_says_nothing_is_not_taken_for_a_first_one(
    fault: Transient,
) -> None:
    desk = model_desk()
    await desk.ask(DARK)
    desk.contexts.known["s-2"] = talked("before", session="s-2", owner="alice")
    desk.path.stock.fault = fault
    assert read(await desk.ask(DARK, "alice", "s-2")).source == "model"
    assert desk.contexts.reads == [("s-2", False)]


async def test_of_a_new_session_the_turns_are_not_read() -> None:
    desk = model_desk()
    await desk.ask("a title for me", "alice")
    assert desk.contexts.reads == [("s-1", True)]


async def test_a_title_without_a_stored_answer_is_told_of_once_for_all_who_begin_so() -> None:
    desk = model_desk()
    desk.path.chat.classify = lambda _message, _locale: Question(QuestionKind.TITLE, "b", "en")
    sources = [read(await desk.ask("title b", session=f"s-{n}")).source for n in range(3)]
    assert sources == ["model", "cache", "cache"]
    assert not desk.contexts.reads
    desk.contexts.known["s-9"] = talked("before", session="s-9", owner="alice")
    assert read(await desk.ask("title b", "alice", "s-9")).source == "model"


async def test_a_stored_answer_of_a_title_is_given_in_any_session() -> None:
    desk = model_desk()
    desk.path.chat.classify = lambda _message, _locale: Question(QuestionKind.TITLE, "b", "en")
    key = AnswerKey("title", "b", "en")
    desk.path.stock.answers[key.redis_key()] = stored(key=key)
    sources = [read(await desk.ask("title b")).source for _ in range(2)]
    assert (sources, desk.path.stock.calls) == (["precomputed"] * 2, 2)


async def test_a_damaged_response_is_not_given_and_made_anew() -> None:
    desk = model_desk()
    await desk.ask(DARK)
    ((key, good),) = desk.process.store.stored.items()
    desk.process.store.stored[key] = good[:-1] + bytes([good[-1] ^ 1])
    assert read(await desk.ask(DARK, session="s-2")).source == "model"
    assert desk.process.registry.sums["answer_invalid_total", "checksum"] == 2
    assert len(desk.completed()) == 2, "what the outbox has beside the question is not the answer"
    assert read(await desk.ask(DARK, session="s-3")).source == "cache"


async def test_a_stale_response_is_given_at_once_and_made_anew_behind_it() -> None:
    desk = model_desk()
    await desk.ask(DARK)
    desk.process.clock.now += LIFETIMES.ttl
    exchange = await desk.ask(DARK, session="s-2")
    assert (read(exchange).source, rung(exchange)) == ("stale", "stale")
    await desk.process.cache.settled()
    assert len(desk.model.prompts) == 2
    assert read(await desk.ask(DARK, session="s-3")).source == "cache"
