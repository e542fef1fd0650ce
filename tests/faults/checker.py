"""Compares a history with what the stores hold. Pure.

Every effect of an acknowledged event must be there, or its job be parked: else the event is lost.
Session turns and trending counts happen once, so that a second is a double, also of an event that
nobody was promised. Analytics and audit are at least once by contract: repeats are only counted.

Order is violated where a session's turns are stored in another order than its customer asked in,
who awaits each answer, or where an answer is older than one that this customer was given before.

What customers get or are known by is wrong where a model's answer was given or kept that is not
whole, where one is kept that should have been taken back, and where a user's merged features are
not the newest that the store was told: neither what is older nor what is gone replaces them, and
what a wrong clock wrote is set aside.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.faults.history import Asked, Did, Effect, History, Observed, Record

SUM_TOLERANCE = 1e-9
SHOWN_CHARS = 80
ENDS = (".", "。")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: with which event or item, and what."""

    subject: str
    what: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run came to."""

    acknowledged: int
    lost: Sequence[Fault]
    doubled: Sequence[Fault]
    disordered: Sequence[Fault]
    wrong: Sequence[Fault]
    repeated: int
    """Analytics records and audit lines beyond the first of an event."""
    parked: int

    @property
    def holds(self) -> bool:
        """Whether everything promised was kept."""
        return not (self.lost or self.doubled or self.disordered or self.wrong)


def check(
    history: History, observed: Observed, *, forgiven: frozenset[Effect] = frozenset()
) -> Verdict:
    """Judge a run; what is in `forgiven` may be missing, where a store itself was lost."""
    return Verdict(
        acknowledged=history.acknowledged,
        lost=[*_lost(history, observed, forgiven), *_astray(history, observed)],
        doubled=[*_doubled(history, observed), *_miscounted(observed)],
        disordered=[*_disordered_turns(history, observed), *_older_answers(history)],
        wrong=[*_not_whole(history, observed), *_unlike_the_store(history, observed)],
        repeated=_repeats(observed),
        parked=observed.parked.total(),
    )


def _lost(history: History, observed: Observed, forgiven: frozenset[Effect]) -> Iterator[Fault]:
    turns = {turn.event_id for turn in observed.turns}
    for event in history.events:
        if not event.acknowledged or event.event_id in observed.parked:
            continue
        missing = [
            effect
            for effect in event.effects
            if effect not in forgiven and not _is_there(event, effect, observed, turns)
        ]
        if missing:
            yield Fault(event.event_id, f"no {', no '.join(missing)}")


def _is_there(event: Asked | Did, effect: Effect, observed: Observed, turns: set[str]) -> bool:
    if effect is Effect.TURN:
        return event.event_id in turns
    if effect is Effect.RECORD:
        return event.event_id in observed.records
    if effect is Effect.LINE:
        return event.event_id in observed.lines
    assert isinstance(event, Did)
    return (event.item_id, event.occurred_at) in observed.counts


def _astray(history: History, observed: Observed) -> Iterator[Fault]:
    """Turns that are stored, but not where they belong."""
    asked = {one.event_id: one for one in history.asked}
    for turn in observed.turns:
        own = asked.get(turn.event_id)
        if own is None:
            yield Fault(turn.event_id, "a turn that nobody asked")
        elif own.session_id != turn.session_id:
            yield Fault(turn.event_id, f"a turn of {own.session_id} in {turn.session_id}")


def _doubled(history: History, observed: Observed) -> Iterator[Fault]:
    turns: defaultdict[tuple[str, str], int] = defaultdict(int)
    for turn in observed.turns:
        turns[turn.session_id, turn.message_id] += 1
    for one in history.asked:
        if turns[one.session_id, one.message_id] > 1:
            yield Fault(one.event_id, "more than one turn")
    for did in history.did:
        if observed.counts[did.item_id, did.occurred_at] > 1:
            yield Fault(did.event_id, "counted more than once")


def _miscounted(observed: Observed) -> Iterator[Fault]:
    for item, expected in observed.expected_sums.items():
        found = observed.sums.get(item, 0.0)
        if abs(found - expected) > SUM_TOLERANCE * max(1.0, expected):
            yield Fault(item, f"adds up to {found!r} instead of {expected!r}")


def _disordered_turns(history: History, observed: Observed) -> Iterator[Fault]:
    place = {one.event_id: at for at, one in enumerate(history.asked)}
    sessions: defaultdict[str, list[str]] = defaultdict(list)
    for turn in observed.turns:
        if turn.event_id in place:
            sessions[turn.session_id].append(turn.event_id)
    for event_ids in sessions.values():
        for earlier, later in pairwise(event_ids):
            if place[earlier] > place[later]:
                yield Fault(later, "stored behind a later turn")


def _older_answers(history: History) -> Iterator[Fault]:
    newest: dict[tuple[str, str], str] = {}
    for one in history.asked:
        if one.answered_by is None:
            continue
        answer, generated_at = one.answered_by
        seen = newest.setdefault((one.session_id, answer), generated_at)
        if generated_at < seen:
            yield Fault(one.event_id, f"an answer of {generated_at} after one of {seen}")
        newest[one.session_id, answer] = max(seen, generated_at)


def _not_whole(history: History, observed: Observed) -> Iterator[Fault]:
    for one in history.asked:
        if one.said is None:
            continue
        whole, text = history.whole.get(one.said.question), one.said.text
        is_honest = history.may_know_less and text.endswith(ENDS)
        if text not in {whole, history.bad or whole} and not is_honest:
            yield Fault(one.event_id, f"given as an answer: {text[:SHOWN_CHARS]!r}")
    for text in observed.kept:
        if text not in history.whole.values():
            yield Fault("the response cache", f"kept as an answer: {text[:SHOWN_CHARS]!r}")


def _unlike_the_store(history: History, observed: Observed) -> Iterator[Fault]:
    told: defaultdict[tuple[str, str], list[Record]] = defaultdict(list)
    for one in history.changed:
        if one.is_ahead and one.event_id not in observed.parked:
            yield Fault(one.event_id, "a record of a wrong clock is not set aside")
        if one.record is not None and not one.is_ahead:
            told[one.user_id, one.group].append(one.record)
    for (user_id, group), records in told.items():
        newest = max(record.event_time for record in records)
        found = observed.features.get((user_id, group))
        if found not in [record for record in records if record.event_time == newest]:
            was = "nothing" if found is None else f"{dict(found.values)} of {found.event_time}"
            yield Fault(f"{group} of {user_id}", f"{was} instead of what is of {newest}")


def _repeats(observed: Observed) -> int:
    return sum(found.total() - len(found) for found in (observed.records, observed.lines))
