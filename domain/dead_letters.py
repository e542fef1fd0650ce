"""What the scheduled retry does with a dead letter: leave it, send it again, or park it.

A pack is split until the job that fails is alone; a job alone is sent again a few times, each time
after a longer wait, and then parked. Pure: knows neither queue nor envelope, and is told the time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from domain.answers import rfc3339
from domain.parking import Parked, Reason, bounded

MAX_STEPS = 16
"""Beyond this many replays a wait grows no more."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Into how many parts, how often and after how long a dead letter is sent again."""

    parts: int
    max_replays: int
    wait_seconds: float
    wait_factor: float


@dataclass(frozen=True, slots=True)
class Fault:
    """Why no job can be taken out of a message."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter that was opened. Times are epoch seconds.

    `receipt` is good while the letter is hidden. `jobs` are encoded, and none where there is a
    `fault`. `payload`, `parked_id` and `event_id` are those it is parked with. `replayed_at` is
    when this retry sent it, 0 where it never did; `last_failure` is empty where nobody knows.
    """

    queue: str
    id: str
    receipt: str
    kind: str
    jobs: tuple[bytes, ...] = ()
    fault: Fault | None = None
    payload: bytes = b""
    parked_id: str
    event_id: str = ""
    receives: int
    sent_at: float
    replays: int = 0
    replayed_at: float = 0.0
    failed_at: float = 0.0
    last_failure: str = ""


@dataclass(frozen=True, slots=True)
class Leave:
    """Look at it again later, not before `until`."""

    until: float


@dataclass(frozen=True, slots=True)
class Park:
    """A person has to look at it."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class SendAgain:
    """Send these jobs, each part as a message of its own, stamped with `replays`."""

    parts: tuple[tuple[bytes, ...], ...]
    replays: int


Decision: TypeAlias = Leave | Park | SendAgain


def decide(letter: Letter, rules: Rules, now: float) -> Decision:
    """What becomes of a letter."""
    if letter.fault is not None:
        return Park(letter.fault.reason, letter.fault.detail)
    if len(letter.jobs) > 1:
        return SendAgain(_split(letter.jobs, rules.parts), replays=0)
    if letter.replays >= rules.max_replays:
        return Park(Reason.EXHAUSTED, f"failed again after {letter.replays} replays")
    until = _came_back_at(letter) + _wait_seconds(letter.replays, rules)
    if now < until:
        return Leave(until)
    return SendAgain((letter.jobs,), letter.replays + 1)


def comes_straight_back(letters: Sequence[Letter], rules: Rules, now: float) -> bool:
    """Whether most of these were sent by this retry only just now: sending more is in vain."""
    recent = sum(now - letter.replayed_at < rules.wait_seconds for letter in letters)
    return 2 * recent > len(letters)


def parked(letter: Letter, park: Park, now: float) -> Parked:
    """The letter as it is set aside."""
    return Parked(
        id=letter.parked_id,
        queue=letter.queue,
        kind=letter.kind,
        event_id=letter.event_id,
        reason=park.reason,
        detail=park.detail,
        payload=letter.payload,
        first_sent_at=letter.sent_at,
        parked_at=now,
        receives=letter.receives,
        replays=letter.replays,
        history=_history(letter, park, now),
    )


def _split(jobs: tuple[bytes, ...], parts: int) -> tuple[tuple[bytes, ...], ...]:
    """As even as can be, none of them empty."""
    count = min(parts, len(jobs))
    edges = [at * len(jobs) // count for at in range(count + 1)]
    return tuple(jobs[start:end] for start, end in pairwise(edges))


def _came_back_at(letter: Letter) -> float:
    """When it failed last, as far as anybody knows."""
    return max(letter.sent_at, letter.replayed_at, letter.failed_at)


def _wait_seconds(replays: int, rules: Rules) -> float:
    return rules.wait_seconds * rules.wait_factor ** min(replays, MAX_STEPS)


def _history(letter: Letter, park: Park, now: float) -> tuple[str, ...]:
    replayed = f"sent again, replay {letter.replays}"
    died = "no failure is on record: it may have killed its worker"
    last = letter.last_failure or ("" if letter.fault else died)
    lines = [
        (letter.sent_at, "sent"),
        (letter.replayed_at, replayed if letter.replays else ""),
        (letter.failed_at or letter.sent_at, last),
        (now, f"parked from the dead letters: {park.reason}"),
    ]
    return bounded([f"{rfc3339(at)} {line}" for at, line in lines if line])
