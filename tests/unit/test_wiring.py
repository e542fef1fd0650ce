"""Guards: jobs, queues, tasks, schedules, events and metrics name the same things everywhere."""

import re
from pathlib import Path

from celery.app.task import Task

from config import metrics, queues, schedules
from config.failpoints import Failpoint
from domain.events import EVENT_TYPES
from domain.jobs import JOB_TYPES
from domain.reactions import ALONE, WITH_FOUND
from tasks.table import TASKS
from workers.app import app, bind
from workers.transport_observer import SilentObserver
from workers.transport_options import TransportOptions

KINDS = {job_type.kind for job_type in JOB_TYPES}
SOURCES = [
    path
    for room in ("adapters", "serving", "tasks", "workers")
    for path in sorted((Path(__file__).resolve().parents[2] / room).rglob("*.py"))
]
MEASURED = re.compile(
    r"\.(?:count|observe|set|counter|gauge|histogram)\(\s*\"([a-z][a-z_]*_[a-z_]+)\""
)


def test_queues_tasks_and_jobs_name_the_same_kinds() -> None:
    queued = [kind for row in queues.declared().queues.values() for kind in row.jobs]
    assert sorted(queued) == sorted(KINDS)
    assert set(TASKS) == KINDS


def test_celery_runs_every_kind_and_nothing_else_of_ours() -> None:
    registered = {name for name in app.tasks if not name.startswith("celery.")}
    assert registered == KINDS
    assert all(isinstance(app.tasks[kind], Task) for kind in KINDS)


def test_each_kind_is_routed_to_its_queue() -> None:
    routes = {kind: route["queue"] for kind, route in app.conf.task_routes.items()}
    assert routes == {kind: f"mangaassist-{queues.declared().of_job(kind)}" for kind in KINDS}


def test_something_reacts_to_every_event() -> None:
    for event_type in EVENT_TYPES:
        assert event_type in WITH_FOUND or event_type in ALONE, event_type.type


def test_every_scheduled_job_is_one_that_a_queue_carries() -> None:
    for name, row in schedules.declared().schedules.items():
        assert queues.declared().of_job(row.job), name


def test_every_metric_that_is_measured_is_declared() -> None:
    declared = set(metrics.declared().metrics)
    measured = {
        (path.name, name) for path in SOURCES for name in MEASURED.findall(path.read_text())
    }
    assert measured
    assert [(path, name) for path, name in sorted(measured) if name not in declared] == []


def test_every_failpoint_is_reached_somewhere() -> None:
    text = "".join(path.read_text() for path in SOURCES)
    reached = set(re.findall(r"reach\(Failpoint\.([A-Z_]+)\)", text))
    assert reached == {point.name for point in Failpoint}


def test_the_application_takes_msgpack_only_and_acknowledges_late() -> None:
    conf = app.conf
    assert list(conf.accept_content) == ["msgpack"]
    assert conf.task_serializer == conf.result_serializer == "msgpack"
    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert conf.task_acks_on_failure_or_timeout is False
    assert conf.task_ignore_result
    assert conf.worker_enable_remote_control is False
    assert conf.worker_prefetch_multiplier == 1


def test_the_transport_accepts_what_the_table_says() -> None:
    table = queues.declared()
    urls = {name: f"http://127.0.0.1/1/{name}" for name in table.queues}
    before = app.conf.broker_transport_options
    try:
        bind(app, table, urls, SilentObserver(), lambda _: True)
        options = TransportOptions.read(app.conf.broker_transport_options)
    finally:
        app.conf.broker_transport_options = before
    assert set(options.queues) == {f"mangaassist-{name}" for name in table.queues}
    assert {name: row.max_receives for name, row in options.queues.items()} == {
        f"mangaassist-{name}": row.max_receives for name, row in table.queues.items()
    }
    assert options.pausing is not None
    assert options.known_tasks is not None
    known = options.known_tasks()
    assert all(kind in known for kind in KINDS)
    assert "celery.backend_cleanup" not in known
