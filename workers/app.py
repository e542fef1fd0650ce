"""The Celery application: queues and options from `queues.toml`, one task for each kind of job.

`celery -A workers.app:app worker` finds everything here; nothing opens a socket at import. Messages
are msgpack, results are off, and every failure is SQS's to redeliver: a task is never retried by
Celery, and nothing is deleted before it succeeded.
"""

from collections.abc import Callable, Mapping
from typing import Any

from celery import Celery, Task
from celery.exceptions import Reject
from celery.signals import celeryd_init
from kombu import Queue as KombuQueue

from adapters.messages import TRACEPARENT
from config import settings
from config.queues import Queues, declared, sqs_name
from tasks.table import TASKS
from workers.execution import Delivery, Perform, Verdict, execute
from workers.pausing import PauseRules
from workers.probing import Probe
from workers.process import process
from workers.requests import PackRequest
from workers.transport_observer import TransportObserver

TRANSPORT = "workers.transport:Transport"
LONG_POLL_SECONDS = 5
DELETE_LINGER_SECONDS = 0.5
"""Messages that are done wait so long for company; a worker killed meanwhile repeats them."""


def create_app(table: Queues) -> Celery:
    """An application that serves every queue of the table."""
    celery = Celery("mangaassist", set_as_current=False)
    celery.conf.update(_configuration(table))
    for kind, task in TASKS.items():
        celery.task(name=kind, bind=True, Request=PackRequest)(_runner(task.function))
    return celery


def _configuration(table: Queues) -> dict[str, Any]:
    names = [sqs_name(name) for name in table.queues]
    return {
        "broker_url": "sqs://",
        "broker_transport": TRANSPORT,
        "broker_connection_retry_on_startup": True,
        "broker_pool_limit": 1,
        "broker_heartbeat": 0,
        "accept_content": ["msgpack"],
        "task_serializer": "msgpack",
        "result_serializer": "msgpack",
        "result_accept_content": ["msgpack"],
        "result_backend": None,
        "task_ignore_result": True,
        "task_store_errors_even_if_ignored": False,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_acks_on_failure_or_timeout": False,
        "task_create_missing_queues": False,
        "task_queues": [KombuQueue(name, routing_key=name) for name in names],
        "task_default_queue": names[0],
        "task_default_routing_key": names[0],
        "task_routes": {
            kind: {"queue": sqs_name(name)}
            for name, queue in table.queues.items()
            for kind in queue.jobs
        },
        "worker_prefetch_multiplier": 1,
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "enable_utc": True,
    }


def bind(
    celery: Celery,
    table: Queues,
    urls: Mapping[str, str],
    observer: TransportObserver,
    probe: Probe,
) -> None:
    """Tell the transport where these queues are, who counts, and who asks what is down.

    `urls` is by our queue names.
    """
    retries = table.retries
    celery.conf.broker_transport_options = {
        "wait_time_seconds": LONG_POLL_SECONDS,
        "delete_linger_seconds": DELETE_LINGER_SECONDS,
        # Not Celery's own, which a forged message could name.
        "known_tasks": lambda: TASKS,
        "observer": observer,
        "retry_budget": retries.budget,
        "retry_burst": retries.burst,
        "probe": probe,
        "pausing": PauseRules(
            after_failures=retries.pause_after_failures,
            base_seconds=retries.pause_base_seconds,
            cap_seconds=retries.pause_cap_seconds,
        ),
        "predefined_queues": {
            sqs_name(name): {
                "url": url,
                "visibility_timeout": table.queues[name].visibility_seconds,
                "receive_pause_seconds": table.queues[name].receive_pause_ms / 1000,
                "backoff_base_seconds": table.queues[name].backoff_base_seconds,
                "backoff_cap_seconds": table.queues[name].backoff_cap_seconds,
                "max_receives": table.queues[name].max_receives,
            }
            for name, url in urls.items()
        },
    }


def _runner(perform: Perform) -> Callable[[Task[Any, Any], bytes], None]:
    def run(self: Task[Any, Any], pack: bytes) -> None:
        ending = execute(perform, pack, _delivery(self), process.ports())
        if ending.verdict is not Verdict.ACKNOWLEDGE:
            raise Reject(ending.down, requeue=False)

    return run


def _delivery(task: Task[Any, Any]) -> Delivery:
    properties = task.request.get("properties") or {}
    info = properties.get("delivery_info") or {}
    message = info.get("sqs_message") or {}
    attributes = message.get("Attributes") or {}
    replays = str(task.request.get("replays") or 0)
    return Delivery(
        kind=task.name,
        message_id=str(message.get("MessageId", task.request.id)),
        queue=str(info.get("routing_key", "")).removeprefix(sqs_name("")),
        receives=int(attributes.get("ApproximateReceiveCount", 1)),
        replays=int(replays) if replays.isdecimal() else 0,
        traceparent=str(task.request.get(TRACEPARENT) or ""),
    )


app = create_app(declared())


@celeryd_init.connect
def _adopt(**_: object) -> None:
    """What `python -m workers.worker` does, where Celery's own command line starts the worker."""
    if not app.conf.broker_transport_options:
        from workers.lifecycle import adopt  # noqa: PLC0415 - it imports this module

        adopt(settings.read())
