"""The checker of the fault kit finds every kind of broken promise, and nothing but those."""

from collections import Counter
from dataclasses import replace

from tests.faults.checker import check
from tests.faults.history import (
    Asked,
    Changed,
    Did,
    Effect,
    History,
    Observed,
    Record,
    Said,
    StoredTurn,
)

ASKED = [
    Asked(f"q{at}", "s", f"m{at}", acknowledged=True, answered_by=("trending en", f"10:0{at}"))
    for at in range(3)
]
DID = [Did(f"i{at}", "item", float(at), 2.0, acknowledged=True) for at in range(3)]
HISTORY = History(ASKED, DID)


def kept() -> Observed:
    """Everything is where it belongs."""
    events = [one.event_id for one in HISTORY.events]
    return Observed(
        turns=[StoredTurn(one.event_id, one.session_id, one.message_id) for one in ASKED],
        records=Counter(events),
        lines=Counter(one.event_id for one in ASKED),
        counts=Counter((one.item_id, one.occurred_at) for one in DID),
        sums={"item": 6.0},
        expected_sums={"item": 6.0},
    )


def test_a_kept_promise_is_no_fault() -> None:
    verdict = check(HISTORY, kept())
    assert verdict.holds
    assert (verdict.acknowledged, verdict.repeated, verdict.parked) == (6, 0, 0)


def test_each_missing_effect_loses_its_event() -> None:
    observed = kept()
    observed.turns = observed.turns[1:]
    del observed.lines["q1"]
    del observed.records["i0"]
    del observed.counts["item", 1.0]
    lost = {one.subject: one.what for one in check(HISTORY, observed).lost}
    assert lost == {
        "q0": "no session turn",
        "q1": "no audit line",
        "i0": "no analytics record",
        "i1": "no trending count",
    }


def test_nobody_was_promised_what_was_not_acknowledged() -> None:
    history = History([], [replace(one, acknowledged=False) for one in DID])
    verdict = check(history, Observed())
    assert verdict.holds
    assert verdict.acknowledged == 0


def test_a_parked_job_is_in_a_visible_place() -> None:
    observed = kept()
    del observed.lines["q1"]
    observed.parked = Counter(["q1"])
    verdict = check(HISTORY, observed)
    assert verdict.holds
    assert verdict.parked == 1


def test_what_a_store_loses_by_itself_is_forgiven_and_nothing_else() -> None:
    observed = kept()
    observed.counts.clear()
    assert check(HISTORY, observed, forgiven=frozenset({Effect.COUNT})).holds
    assert len(check(HISTORY, observed, forgiven=frozenset({Effect.TURN})).lost) == 3


def test_a_turn_in_another_session_is_found() -> None:
    observed = kept()
    observed.turns = [*observed.turns, StoredTurn("q0", "t", "m0"), StoredTurn("x", "s", "m9")]
    assert {one.subject for one in check(HISTORY, observed).lost} == {"q0", "x"}


def test_a_second_turn_or_count_is_a_double() -> None:
    observed = kept()
    again = StoredTurn("q0", "s", "m0")
    observed.turns = [again, *observed.turns]
    observed.counts["item", 2.0] = 2
    assert {one.subject for one in check(HISTORY, observed).doubled} == {"q0", "i2"}


def test_a_double_of_what_nobody_was_promised_is_one_all_the_same() -> None:
    history = History([], [replace(one, acknowledged=False) for one in DID])
    observed = kept()
    observed.turns = []
    observed.counts["item", 2.0] = 2
    assert [one.subject for one in check(history, observed).doubled] == ["i2"]


def test_a_sum_that_is_not_that_of_its_counts_is_found() -> None:
    observed = kept()
    observed.sums = {"item": 8.0}
    assert [one.subject for one in check(HISTORY, observed).doubled] == ["item"]


def test_repeated_records_are_counted_and_are_no_fault() -> None:
    observed = kept()
    observed.records["i0"] += 2
    observed.lines["q0"] += 1
    verdict = check(HISTORY, observed)
    assert verdict.holds
    assert verdict.repeated == 3


def test_turns_in_another_order_than_asked_are_found() -> None:
    observed = kept()
    observed.turns = [observed.turns[1], observed.turns[0], observed.turns[2]]
    assert [one.subject for one in check(HISTORY, observed).disordered] == ["q0"]


def test_an_answer_older_than_one_before_is_found() -> None:
    older = replace(ASKED[2], answered_by=("trending en", "09:59"))
    history = History([*ASKED[:2], older], DID)
    assert [one.subject for one in check(history, kept()).disordered] == ["q2"]
    of_another = replace(older, answered_by=("genre en", "09:59"))
    assert check(History([*ASKED[:2], of_another], DID), kept()).holds


def wrong(history: History, observed: Observed) -> list[str]:
    return [one.subject for one in check(history, observed).wrong]


WHOLE = {"who?": "It is by A. Author."}


def said(text: str, question: str = "who?") -> History:
    answered = replace(ASKED[0], said=Said(question, text))
    return History([answered, *ASKED[1:]], DID, whole=WHOLE)


def test_an_answer_of_a_model_that_is_not_whole_is_wrong() -> None:
    assert wrong(said("It is by A. Author."), kept()) == []
    assert wrong(said("It is by"), kept()) == ["q0"]
    assert wrong(said("It is by A. Author.", "where?"), kept()) == ["q0"]


def test_who_is_told_less_may_say_something_else_that_is_whole_but_not_for_long() -> None:
    less = replace(said("I do not know."), may_know_less=True)
    assert wrong(less, kept()) == []
    assert wrong(replace(said("I do"), may_know_less=True), kept()) == ["q0"]
    observed = kept()
    observed.kept = ["I do not know."]
    assert wrong(less, observed) == ["the response cache"]


def test_what_is_checked_later_may_be_given_but_not_kept() -> None:
    bad = replace(said("Read it for free!"), bad="Read it for free!")
    assert wrong(bad, kept()) == []
    observed = kept()
    observed.kept = ["It is by A. Author.", "Read it for free!"]
    assert wrong(bad, observed) == ["the response cache"]


OLD, NEW = Record(10.0, {"locale": "ja"}), Record(20.0, {"locale": "en"})
GONE = Changed("c2", "u", "profile", None)


def told(*changes: Changed) -> History:
    return History(changed=[Changed("c0", "u", "profile", OLD), *changes])


def merged(record: Record) -> Observed:
    return Observed(features={("u", "profile"): record})


def test_features_are_the_newest_that_the_store_was_told_in_whatever_order() -> None:
    later = told(Changed("c1", "u", "profile", NEW))
    earlier = History(changed=list(reversed(later.changed)))
    for history in (later, earlier):
        assert wrong(history, merged(NEW)) == []
        assert wrong(history, merged(OLD)) == ["profile of u"]
        assert wrong(history, Observed()) == ["profile of u"]
    assert check(later, merged(NEW)).acknowledged == 2


def test_what_is_gone_without_a_word_erases_nothing() -> None:
    assert wrong(told(GONE), merged(OLD)) == []
    assert wrong(told(GONE), merged(Record(10.0, {}))) == ["profile of u"]


def test_of_two_records_of_one_time_either_may_stand() -> None:
    other = Record(10.0, {"locale": "en"})
    history = told(Changed("c1", "u", "profile", other))
    assert wrong(history, merged(OLD)) == wrong(history, merged(other)) == []


def test_a_record_of_a_wrong_clock_is_set_aside_and_not_merged() -> None:
    history = told(Changed("c1", "u", "profile", NEW, is_ahead=True))
    parked = replace(merged(OLD), parked=Counter(["c1"]))
    assert wrong(history, parked) == []
    assert wrong(history, merged(OLD)) == ["c1"]
    assert wrong(history, replace(parked, features={("u", "profile"): NEW})) == ["profile of u"]
