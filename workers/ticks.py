"""Which scheduled jobs are due: one for each period of each schedule, sent until it is accepted.

Pure: it is told the time. A period is numbered by `floor(now / every_seconds)`, so that two beats,
or one that was restarted, send the same job with the same id, and the second has no effect. Nothing
needs to be remembered over a restart.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from uuid import UUID, uuid5

import msgspec

from config.errors import ConfigError
from config.schedules import Schedule
from domain.jobs import JOB_TYPES, Job

PRODUCER = "beat"
RETRY_BASE_SECONDS = 0.5
RETRY_CAP_SECONDS = 15.0

_TICK_NAMESPACE = UUID("4b0b63b8-7f0e-5f3c-8f6b-6d616e676132")
_TYPES = {job_type.kind: job_type for job_type in JOB_TYPES}


@dataclass(frozen=True, slots=True)
class Tick:
    """One period of one schedule."""

    schedule: str
    number: int


@dataclass(slots=True)
class _Progress:
    sent: int | None = None
    failures: int = 0
    not_before: float = 0.0


class TickBook:
    """What has been sent by this beat."""

    def __init__(
        self,
        schedules: Mapping[str, Schedule],
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._schedules = schedules
        self._jitter = jitter
        self._progress = {name: _Progress() for name in schedules}

    def due(self, now: float) -> list[Tick]:
        """The ticks to send now; at the first call, the one under way of every schedule."""
        current = [Tick(name, tick_at(row, now)) for name, row in self._schedules.items()]
        return [tick for tick in current if self._is_due(tick, now)]

    def delay_seconds(self, tick: Tick) -> int:
        """How long SQS holds the job back: not at all for the first that this beat sends."""
        if self._progress[tick.schedule].sent is None:
            return 0
        return round(self._jitter(0, self._schedules[tick.schedule].jitter_seconds))

    def sent(self, tick: Tick) -> None:
        """Note that the tick was accepted."""
        self._progress[tick.schedule] = _Progress(sent=tick.number)

    def failed(self, tick: Tick, now: float) -> None:
        """Note that it was not; it is due again soon, for as long as its period lasts."""
        progress = self._progress[tick.schedule]
        progress.failures += 1
        cap = min(RETRY_CAP_SECONDS, RETRY_BASE_SECONDS * 2.0 ** min(progress.failures, 10))
        progress.not_before = now + self._jitter(RETRY_BASE_SECONDS / 2, cap)

    def next_at(self, now: float) -> float:
        """When something is due next."""
        return min((self._next_at(name, now) for name in self._schedules), default=float("inf"))

    def _is_due(self, tick: Tick, now: float) -> bool:
        progress = self._progress[tick.schedule]
        return progress.sent != tick.number and now >= _until(progress, now)

    def _next_at(self, name: str, now: float) -> float:
        schedule, progress = self._schedules[name], self._progress[name]
        number = tick_at(schedule, now)
        if progress.sent == number:
            return float((number + 1) * schedule.period_seconds)
        return max(now, _until(progress, now))


def _until(progress: _Progress, now: float) -> float:
    """When a tick that failed is due again: at once where the clock was put back meanwhile."""
    return progress.not_before if progress.not_before <= now + RETRY_CAP_SECONDS else now


def tick_at(schedule: Schedule, now: float) -> int:
    """The number of the period that this time lies in."""
    return int(now // schedule.period_seconds)


def job_of(tick: Tick, schedule: Schedule, now: float) -> Job:
    """The job of a tick; raises ConfigError for a schedule whose job can't be made."""
    where = f"schedules.toml: schedules.{tick.schedule}"
    job_type = _TYPES.get(schedule.job)
    if job_type is None:
        raise ConfigError(f"{where}: there is no job {schedule.job!r}")
    values: dict[str, object] = {
        **schedule.arguments,
        "event_id": event_id(tick),
        "producer": PRODUCER,
        "seq": tick.number,
        "occurred_at": now,
    }
    if any(field.name == "tick" for field in fields(job_type)):
        values["tick"] = tick.number * schedule.period_seconds
    unknown = values.keys() - {field.name for field in fields(job_type)}
    if unknown:
        raise ConfigError(f"{where}: {schedule.job} has no {', '.join(sorted(unknown))}")
    try:
        return msgspec.convert(values, job_type)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {error}") from error


def event_id(tick: Tick) -> str:
    """The one id of a tick, whichever beat sends it."""
    return str(uuid5(_TICK_NAMESPACE, f"{tick.schedule}\x1f{tick.number}"))
