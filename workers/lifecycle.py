"""A Celery worker's life: its queues are found, its ports built, its metrics served, its end quiet.

Knows Celery and the adapters; `workers/worker.py` is the door, which imports this late.
"""

import ctypes
import logging
import os
import random
import signal
import socket
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from celery.signals import (
    setup_logging,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_shutdown,
    worker_shutting_down,
)

from adapters.aws_clients import AwsClients
from adapters.connection import connect, probes_of
from adapters.prometheus_metrics import Metrics
from adapters.sqs_queues import SqsQueues
from adapters.trace_connection import connect_traces
from config.failpoints import arm
from config.queues import Group, declared, sqs_name
from config.settings import Settings
from domain.errors import MangaAssistError
from workers import logs, multiprocess_metrics
from workers.app import app, bind
from workers.observing import LastReceives, MetricsObserver
from workers.process import process

logger = logging.getLogger(__name__)

_SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of linux/prctl.h


def work(group: str, row: Group, settings: Settings, directory: Path | None) -> int:
    """Consume the group's queues until a signal; the exit code."""
    _leave_on_a_signal_until_celery_listens()
    arm(settings.failpoint)
    logs.configure(settings.log_level)
    metrics = Metrics()
    if directory is not None:
        metrics.before_scrape(partial(multiprocess_metrics.bury_dead, directory, metrics.bury))
    queues = list(declared().of_group(group))
    receives = LastReceives(queues)
    server = metrics.serve_http(
        settings.metrics_host, settings.metrics_port or row.metrics_port, receives.healthy
    )
    logger.info("group=%s metrics=http://%s:%d", group, settings.metrics_host, server.port)
    _connect(group, settings, metrics, receives)
    return _consume(group, row, queues)


def adopt(settings: Settings) -> None:
    """Make a worker that Celery's own command line starts like ours, but for the HTTP server."""
    logs.configure(settings.log_level)
    _connect("all", settings, Metrics(), LastReceives(declared().queues))


def _connect(group: str, settings: Settings, metrics: Metrics, receives: LastReceives) -> None:
    setup_logging.connect(_logs_are_configured, weak=False)
    metrics.before_scrape(partial(_show_receive_ages, receives, metrics))
    names = {sqs_name(queue): queue for queue in receives.ages_seconds()}
    aws = AwsClients()
    found = SqsQueues(aws, metrics)
    urls = {queue: _url_when_there(found, name) for name, queue in names.items()}
    aws.close()
    probes = probes_of(settings)
    bind(app, declared(), urls, MetricsObserver(metrics, names, receives), probes.answers)
    process.provide(
        lambda: replace(connect(settings, metrics), traces=connect_traces(f"worker-{group}"))
    )
    # Of these, a pool of threads sends the first one only.
    worker_init.connect(_begin, weak=False)
    worker_process_init.connect(partial(_begin_child, os.getpid()), weak=False)
    worker_process_shutdown.connect(_end, weak=False)
    worker_shutdown.connect(_end, weak=False)


def _consume(group: str, row: Group, queues: list[str]) -> int:
    worker = app.Worker(
        hostname=f"{group}@{socket.gethostname()}",
        pool_cls=row.pool,
        concurrency=row.concurrency,
        queues=[sqs_name(name) for name in queues],
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    asked = _Asked()
    worker_shutting_down.connect(asked, weak=False)
    worker.start()
    # Celery calls it a failure to be stopped by SIGINT.
    return 0 if asked.warmly else int(worker.exitcode or 0)


class _Asked:
    """Whether a signal has asked for a quiet end."""

    warmly = False

    def __call__(self, how: str = "", **_: Any) -> None:
        self.warmly = how == "Warm"


def _leave_on_a_signal_until_celery_listens() -> None:
    def leave(*_: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)


def _begin(**_: Any) -> None:
    process.ports()


def _begin_child(parent: int, **_: Any) -> None:
    if os.getpid() != parent:
        process.after_fork()
        _die_with_the_parent()
    process.ports()


def _end(**_: Any) -> None:
    process.close()


def _die_with_the_parent() -> None:
    """Else a parent that was killed leaves children that wait for it for ever."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)


def _logs_are_configured(**_: Any) -> None:
    """Being connected keeps Celery from configuring them."""


def _show_receive_ages(receives: LastReceives, metrics: Metrics) -> None:
    for queue, age in receives.ages_seconds().items():
        metrics.set("last_receive_age_seconds", age, queue=queue)


def _url_when_there(queues: SqsQueues, name: str) -> str:
    """The URL of a queue; waits while SQS does not answer, since a restart would not help."""
    failures = 0
    while True:
        try:
            return queues.url(name)
        except MangaAssistError as error:
            logger.warning("the URL of %s is not known: %s", name, error)
        failures += 1
        time.sleep(random.uniform(0.1, min(10.0, 0.2 * 2.0 ** min(failures, 8))))
