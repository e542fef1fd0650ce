"""Celery beat with the schedules of `schedules.toml`: `python -m workers.beat`, best run twice.

A plain `celery.beat.Service`. Its scheduler sends a job for each tick (`workers/ticks.py`) and
keeps no file: what a restarted beat sends again has no effect. A failed send is tried again until
it succeeds or its period is over.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from celery import Celery
from celery.beat import Scheduler, Service

from adapters.aws_clients import AwsClients
from adapters.prometheus_metrics import Metrics
from adapters.sqs_queues import SqsQueues
from config import metrics as metrics_table
from config import schedules
from config import settings as settings_module
from config.errors import ConfigError
from config.failpoints import Failpoint, arm, reach
from config.queues import declared
from config.schedules import Schedule
from config.settings import Settings
from domain.errors import MangaAssistError
from domain.jobs import Job
from domain.ports import TaskMetrics
from workers import logs, stopping
from workers.queue_gauges import QueueGauges
from workers.sqs_sending import SqsSending
from workers.ticks import Tick, TickBook, job_of

logger = logging.getLogger("workers.beat")

LOOP_SECONDS = 1.0
"""At most so long between two looks at the clock: what a stop has to wait for."""
HEALTHY_SECONDS = 60.0
USAGE_ERROR = 2


class SendJob(Protocol):
    """Sends one job to its queue."""

    def __call__(self, job: Job, delay_seconds: int) -> None:
        """Raises MangaAssistError where SQS has not accepted it."""
        ...


class TickScheduler(Scheduler):
    """Sends every tick that is due; Celery's own entries and state are not used."""

    def __init__(
        self,
        *args: Any,
        schedules: Mapping[str, Schedule],
        send: SendJob,
        metrics: TaskMetrics,
        clock: Callable[[], float] = time.time,
        **kwargs: Any,
    ) -> None:
        self._schedules = schedules
        self._send = send
        self._metrics = metrics
        self._clock = clock
        self._book = TickBook(schedules)
        self._looked_at = time.monotonic()
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Nothing to set up: there are no entries."""

    def tick(self, *_: Any, **__: Any) -> float:
        """Send what is due; the seconds until something is due again, at most one."""
        for due in self._book.due(self._clock()):
            self._send_tick(due)
        self._looked_at = time.monotonic()
        now = self._clock()
        return min(max(0.0, self._book.next_at(now) - now), LOOP_SECONDS)

    def healthy(self) -> bool:
        """Whether the clock was looked at lately."""
        return time.monotonic() - self._looked_at < HEALTHY_SECONDS

    def _send_tick(self, tick: Tick) -> None:
        job = job_of(tick, self._schedules[tick.schedule], self._clock())
        reach(Failpoint.BEAT_BEFORE_SEND)
        try:
            self._send(job, self._book.delay_seconds(tick))
        except MangaAssistError as error:
            self._book.failed(tick, self._clock())
            logger.warning("schedule %s, tick %d: %s", tick.schedule, tick.number, error)
            return
        reach(Failpoint.BEAT_AFTER_SEND)
        self._book.sent(tick)
        self._metrics.count("beat_ticks_total", schedule=tick.schedule)
        logger.info("schedule=%s tick=%d job=%s", tick.schedule, tick.number, job.kind)


class _Service(Service):
    """Celery's service around a scheduler that is made already."""

    def __init__(self, celery: Celery, scheduler: TickScheduler) -> None:
        super().__init__(celery)
        self._scheduler = scheduler

    def get_scheduler(self, *_: Any, **__: Any) -> TickScheduler:
        """The scheduler."""
        return self._scheduler


def run(settings: Settings) -> int:
    """Beat until SIGTERM or SIGINT; the exit code."""
    stop = stopping.on_signal()
    arm(settings.failpoint)
    logs.configure(settings.log_level)
    metrics = Metrics()
    table = declared()
    queues = SqsQueues(AwsClients(), metrics)
    gauges = QueueGauges(list(table.queues), lambda name: queues.depth(name).visible, metrics)
    celery = Celery("mangaassist-beat", broker="memory://", set_as_current=False)
    scheduler = TickScheduler(
        celery,
        schedules=schedules.declared().schedules,
        send=SqsSending(queues, table).job,
        metrics=metrics,
    )
    service = _Service(celery, scheduler)
    port = settings.metrics_port or metrics_table.declared().ports.beat
    server = metrics.serve_http(settings.metrics_host, port, scheduler.healthy)
    logger.info("beat metrics=http://%s:%d", settings.metrics_host, server.port)
    gauges.start()
    threading.Thread(target=_stop_with, args=(stop, service), daemon=True).start()
    service.start()
    gauges.stop()
    logger.info("beat has left")
    return 0


def _stop_with(stop: threading.Event, service: Service) -> None:
    stop.wait()
    service.stop()


def main() -> int:
    """The command line of this module."""
    try:
        return run(settings_module.read())
    except (ConfigError, OSError) as error:
        sys.stderr.write(f"beat: {error}\n")
        return USAGE_ERROR


if __name__ == "__main__":
    sys.exit(main())
