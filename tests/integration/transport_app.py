"""A worker's app for the transport's tests: its tasks write what happened to a file."""

import json
import os
import signal
import time
from pathlib import Path

from celery import Celery
from celery.exceptions import Reject

from config.failpoints import arm
from workers import intake
from workers.pausing import PauseRules
from workers.requests import PackRequest

_settings = json.loads(os.environ["TRANSPORT_TEST"])
_log = Path(_settings["log"])
_down = Path(_settings["down"]) if _settings.get("down") else None
_options = _settings["options"]
if _down is not None:
    _options["pausing"] = PauseRules(after_failures=3, base_seconds=0.1, cap_seconds=0.4)
    _options["probe"] = lambda _dependency: not _down.exists() or "wrong" in _down.name

# Nobody waits so long, and on a busy machine what is done is deleted all the same.
intake.CLOSE_SECONDS = 60.0
arm(os.environ.get("MANGAASSIST_FAILPOINT", ""))
app = Celery("transport-test", broker="sqs://")
app.conf.update(
    accept_content=["msgpack"],
    task_serializer="msgpack",
    broker_transport=_settings.get("transport", "workers.transport:Transport"),
    broker_transport_options=_options,
    broker_connection_retry_on_startup=True,
    task_default_queue=next(iter(_settings["options"]["predefined_queues"])),
    task_create_missing_queues=True,
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_acks_on_failure_or_timeout=False,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
)


def _note(what: str, pack: bytes) -> None:
    line = f"{time.time():.3f} {os.getpid()} {what} {pack.decode()}\n"
    with _log.open("a") as log:
        log.write(line)


@app.task(name="test.note")
def note(pack: bytes) -> None:
    _note("done", pack)


@app.task(name="test.nothing")
def nothing(pack: bytes) -> None:
    return


@app.task(name="test.wait")
def wait(pack: bytes) -> None:
    _note("begun", pack)
    while not _log.with_suffix(".go").exists():
        time.sleep(0.02)
    _note("done", pack)


@app.task(name="test.fail")
def fail(pack: bytes) -> None:
    _note("begun", pack)
    raise RuntimeError("as asked")


@app.task(name="test.die")
def die(pack: bytes) -> None:
    _note("begun", pack)
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="test.needs", Request=PackRequest)
def needs(pack: bytes) -> None:
    _note("begun", pack)
    if _down is not None and _down.exists():
        raise Reject("thing", requeue=False)
    _note("done", pack)
