"""An outbox entry is through when the last of its jobs is out, and not before."""

from workers.ledger import Held, Ledger


def entry(number: int, jobs: int, since: float = 0.0) -> Held:
    return Held(0, f"{number}-0".encode(), "answer.served", 100, jobs, since)


def test_an_entry_is_through_with_its_last_job() -> None:
    ledger = Ledger()
    first = entry(1, jobs=3)
    ledger.hold(first)
    ledger.sent([first, first])
    assert ledger.take_through() == []
    ledger.sent([first])
    assert ledger.take_through() == [first]
    assert ledger.take_through() == []


def test_an_entry_without_jobs_is_through_at_once() -> None:
    ledger = Ledger()
    nothing = entry(1, jobs=0)
    ledger.hold(nothing)
    assert ledger.take_through() == [nothing]


def test_an_entry_that_is_held_is_not_taken_on_twice() -> None:
    ledger = Ledger()
    assert ledger.hold(entry(1, jobs=1))
    assert not ledger.hold(entry(1, jobs=1))


def test_entries_stay_held_until_they_are_released() -> None:
    ledger = Ledger()
    first = entry(1, jobs=1)
    ledger.hold(first)
    ledger.sent([first])
    through = ledger.take_through()
    ledger.put_back(through)
    assert ledger.take_through() == through
    assert ledger.load().entries == 1
    ledger.release(through)
    assert (ledger.load().entries, ledger.load().size_bytes) == (0, 0)


def test_only_old_entries_are_named_for_keeping() -> None:
    ledger = Ledger()
    old, young = entry(1, jobs=1, since=1.0), entry(2, jobs=1, since=5.0)
    ledger.hold(old)
    ledger.hold(young)
    assert ledger.held(until=2.0) == [old]


def test_a_refused_entry_is_named_once_with_the_reason() -> None:
    ledger = Ledger()
    first = entry(1, jobs=2)
    ledger.hold(first)
    ledger.refused([first, first], "InvalidMessageContents")
    assert ledger.take_refused() == {first: "InvalidMessageContents"}
    assert ledger.take_refused() == {}
