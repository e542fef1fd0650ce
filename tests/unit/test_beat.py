"""Beat sends each tick until it is accepted, and its loop never waits long."""

from celery import Celery

from config.schedules import Schedule
from domain.errors import Transient
from domain.jobs import Job, PrecomputeAnswers
from workers.beat import TickScheduler

ROWS = {
    name: Schedule(
        job="answers.precompute",
        every_seconds=60,
        jitter_seconds=0,
        arguments={"answer_kind": name},
    )
    for name in ("genre", "trending")
}


class Metrics:
    def __init__(self) -> None:
        self.ticks = 0.0

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        assert name == "beat_ticks_total"
        self.ticks += amount

    def observe(self, name: str, value: float, **labels: str) -> None: ...

    def set(self, name: str, value: float, **labels: str) -> None: ...


class Bench:
    """A scheduler whose clock and queue are ours."""

    def __init__(self) -> None:
        self.now = 600.0
        self.failures = 0
        self.sent: list[tuple[str, int | None, int]] = []
        self.metrics = Metrics()
        self.scheduler = self.new()

    def new(self) -> TickScheduler:
        return TickScheduler(
            Celery("test", broker="memory://", set_as_current=False),
            schedules=ROWS,
            send=self.send,
            metrics=self.metrics,
            clock=lambda: self.now,
        )

    def send(self, job: Job, delay_seconds: int) -> None:
        if self.failures:
            self.failures -= 1
            raise Transient("SQS does not answer")
        assert isinstance(job, PrecomputeAnswers)
        self.sent.append((job.answer_kind, job.tick, delay_seconds))


def test_every_schedule_is_sent_at_the_start_and_then_once_a_period() -> None:
    bench = Bench()
    for bench.now in (600.0, 600.5, 659.9, 660.0, 660.1):
        bench.scheduler.tick()
    assert bench.sent == [
        ("genre", 600, 0),
        ("trending", 600, 0),
        ("genre", 660, 0),
        ("trending", 660, 0),
    ]
    assert bench.metrics.ticks == 4


def test_a_failed_send_is_repeated_within_the_period_and_holds_up_no_other() -> None:
    bench = Bench()
    bench.failures = 1
    bench.scheduler.tick()
    assert [kind for kind, _, _ in bench.sent] == ["trending"]
    while bench.now < 620.0:
        bench.now += 0.5
        bench.scheduler.tick()
    assert sorted(bench.sent) == [("genre", 600, 0), ("trending", 600, 0)]


def test_a_restarted_beat_sends_the_same_tick_again_rather_than_none() -> None:
    bench = Bench()
    bench.scheduler.tick()
    bench.new().tick()
    assert sorted(bench.sent) == [
        ("genre", 600, 0), ("genre", 600, 0), ("trending", 600, 0), ("trending", 600, 0),
    ]  # fmt: skip


def test_the_loop_looks_at_the_clock_every_second() -> None:
    bench = Bench()
    assert bench.scheduler.tick() <= 1.0
    bench.now = 659.75
    assert bench.scheduler.tick() == 0.25
    assert bench.scheduler.healthy()
