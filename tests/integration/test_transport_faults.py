"""Real workers on our transport against the SQS emulator: every fault heals, nothing is lost."""

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from adapters.celery_envelope import build
from config.failpoints import Failpoint
from emulators.app import EmulatorSettings
from emulators.faults import FaultRule, Kind
from emulators.runner import run_in_thread
from tests.faults.poison import malformed
from tests.integration.transport_stage import (
    POLL_SECONDS,
    Clock,
    Stage,
    Wire,
    Worker,
    eventually,
    is_steady,
)

SHORT_VISIBILITY = 3
RECOVERY_SECONDS = 5.0


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    clock = Clock()
    with run_in_thread("sqs", settings=EmulatorSettings(clock=clock)) as emulator:
        yield Stage(emulator, tmp_path_factory.mktemp("transport") / "notes", clock)


@pytest.fixture(scope="module")
def wire(stage: Stage) -> Iterator[Wire]:
    wire = Wire(stage.emulator.port)
    yield wire
    wire.close()


@pytest.fixture(scope="module")
def faulty_queue(stage: Stage) -> str:
    return stage.queue("faulty")


@pytest.fixture(scope="module")
def long_worker(stage: Stage, wire: Wire, faulty_queue: str) -> Iterator[Worker]:
    """One worker lives through all faults, one after the other."""
    with stage.worker(
        "threads", 2, faulty_queue, wire=wire, visibility_timeout=SHORT_VISIBILITY
    ) as worker:
        yield worker
        assert worker.is_alive
        assert worker.stop() == 0


@pytest.fixture
def healthy(stage: Stage, long_worker: Worker, faulty_queue: str) -> Iterator[None]:
    """Begin with nothing in the queue, since a test before ends when its task has run.

    Time stands still, so that no message comes again for being held by a worker without a turn.
    """
    eventually(lambda: stage.is_empty(faulty_queue), 10, "messages are left of the test before")
    long_worker.mark()
    with stage.clock.stopped():
        yield
    stage.emulator.heal()


@pytest.fixture
def still(stage: Stage) -> Iterator[Clock]:
    """A clock that only the test puts forward: no message comes again before."""
    with stage.clock.stopped():
        yield stage.clock


def runs_soon(stage: Stage, queue: str, name: str) -> None:
    stage.send(queue, "test.note", name)
    eventually(lambda: name in stage.noted("done"), RECOVERY_SECONDS, f"{name} does not run")
    assert stage.noted("done").count(name) == 1


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize(
    "kind",
    ["http500", "http503", "throttle", "expired_token", "access_denied", "reset", "lose_reply"],
)
def test_polling_goes_on_after(
    kind: Kind, stage: Stage, long_worker: Worker, faulty_queue: str
) -> None:
    stage.emulator.inject(FaultRule(kind=kind, action="ReceiveMessage"))
    before = stage.receives()
    eventually(lambda: stage.receives() > before, 20, "it does not ask")
    if kind == "lose_reply":
        stage.send(faulty_queue, "test.note", "lost-reply")
        eventually(lambda: stage.count(faulty_queue, hidden=True) == 1, 20, "it is not given out")
    eventually(lambda: stage.receives() >= before + 3, 20, "it does not try again")
    assert stage.receives() - before < 20, "it tries without a pause"
    stage.emulator.heal()
    # Until then a receive may be under way whose answer is still to be lost.
    eventually(lambda: long_worker.logged("receiving again"), 20, "the recovery is not logged")
    assert long_worker.logged("receiving fails")
    runs_soon(stage, faulty_queue, f"after-{kind}")
    if kind == "lose_reply":
        eventually(lambda: stage.count(faulty_queue, hidden=True) == 1, 10, "it is not deleted")
        stage.clock.advance(SHORT_VISIBILITY)
        eventually(lambda: "lost-reply" in stage.noted("done"), 10, "what was lost does not run")
        assert stage.noted("done").count("lost-reply") == 1
    assert long_worker.is_alive


@pytest.mark.usefixtures("healthy")
def test_polling_goes_on_after_a_queue_was_missing(
    stage: Stage, long_worker: Worker, faulty_queue: str
) -> None:
    before = stage.receives()
    stage.sqs.delete_queue(QueueUrl=faulty_queue)
    eventually(lambda: stage.receives() >= before + 3, 20, "it does not try again")
    stage.queue("faulty")
    eventually(lambda: long_worker.logged("receiving again"), 20, "the recovery is not logged")
    runs_soon(stage, faulty_queue, "after-missing")
    assert long_worker.is_alive


@pytest.mark.usefixtures("healthy")
def test_polling_goes_on_after_refused_connections(
    stage: Stage, wire: Wire, long_worker: Worker, faulty_queue: str
) -> None:
    wire.refuse()
    eventually(lambda: long_worker.logged("receiving fails"), 20, "nothing refused")
    wire.accept_again()
    runs_soon(stage, faulty_queue, "after-refused")
    assert long_worker.is_alive


def test_polling_goes_on_after_a_black_hole(stage: Stage) -> None:
    queue, wire = stage.queue("silent"), Wire(stage.emulator.port)
    with stage.worker("threads", 2, queue, wire=wire, grace_seconds=1.0) as worker:
        wire.is_silent = True
        eventually(lambda: worker.logged("receiving fails: timeout"), 20, "nothing timed out")
        wire.is_silent = False
        runs_soon(stage, queue, "after-silence")
        assert worker.is_alive
    wire.close()


@pytest.mark.usefixtures("healthy")
def test_a_finished_task_runs_once_although_deletes_fail_beyond_its_visibility(
    stage: Stage, long_worker: Worker, faulty_queue: str
) -> None:
    stage.emulator.inject(FaultRule(kind="http500", action="DeleteMessageBatch"))
    stage.send(faulty_queue, "test.note", "undeleted")
    eventually(lambda: "undeleted" in stage.noted("done"), 5, "it does not run")
    eventually(lambda: long_worker.logged("deleting fails"), 5, "the failure is not logged")
    stage.outlast(faulty_queue, 2 * SHORT_VISIBILITY)
    stage.emulator.heal()
    eventually(
        lambda: stage.count(faulty_queue, hidden=True) == 0, 10, "the messages are not deleted"
    )
    assert stage.noted("done").count("undeleted") == 1
    assert stage.count(faulty_queue) == 0
    eventually(lambda: long_worker.logged("deleting again"), 5, "the recovery is not logged")


@pytest.mark.usefixtures("healthy")
def test_a_task_longer_than_its_visibility_runs_once(stage: Stage, faulty_queue: str) -> None:
    stage.send(faulty_queue, "test.wait", "slow")
    eventually(lambda: "slow" in stage.noted("begun"), 10, "it does not begin")
    stage.outlast(faulty_queue, 2 * SHORT_VISIBILITY)
    with stage.told_to_go():
        eventually(lambda: "slow" in stage.noted("done"), 15, "it does not end")
    eventually(lambda: stage.count(faulty_queue, hidden=True) == 0, 5, "it is not deleted")
    assert stage.noted("begun").count("slow") == 1


def test_malformed_messages_reach_the_dead_letters_and_stop_nothing(stage: Stage) -> None:
    queue = stage.queue("poisoned", max_receives=2)
    dead = queue + "-dlq"
    poison = malformed("test.note")
    for text in poison:
        stage.sqs.send_message(QueueUrl=queue, MessageBody=text)
    names = [f"good-{i}" for i in range(10)]
    stage.send(queue, "test.note", *names)
    with stage.worker("prefork", 2, queue, backoff_base_seconds=0.1) as worker:
        eventually(lambda: set(names) <= set(stage.noted("done")), 10, "good ones do not run")
        eventually(lambda: stage.count(dead) == len(poison), 20, "poison is not redriven")
        stage.send(queue, "test.die", "dies")
        stage.send(queue, "test.fail", "fails")
        eventually(lambda: stage.count(dead) == len(poison) + 2, 20, "failures are not redriven")
        stage.send(queue, "test.note", "good-last")
        eventually(lambda: "good-last" in stage.noted("done"), 10, "it does not go on")
        assert sorted(stage.noted("begun")[-4:]) == ["dies", "dies", "fails", "fails"]
        assert "poison" not in stage.noted("done")
        assert not worker.logged("unregistered task"), "Celery prints the body of such a message"
        assert worker.is_alive


def test_sigterm_hands_back_what_was_not_begun_and_ends_what_was(stage: Stage) -> None:
    queue = stage.queue("ending")
    other = stage.queue("ending-too")

    def hidden() -> int:
        return stage.count(queue, hidden=True) + stage.count(other, hidden=True)

    # Two queues each fill the two free slots, so that messages wait in the worker.
    stage.send(queue, "test.wait", *[f"end-{i}" for i in range(4)])
    stage.send(other, "test.wait", *[f"end-{i}" for i in range(4, 8)])
    with stage.worker("threads", 2, queue, other) as worker:
        eventually(
            lambda: hidden() > 2 and sum(n.startswith("end-") for n in stage.noted("begun")) == 2,
            20,
            "nothing waits in the worker",
        )
        # What SQS has given out may still be on its way.
        eventually(lambda: is_steady(hidden, POLL_SECONDS), 60, "it does not stop asking")
        worker.process.send_signal(signal.SIGTERM)
        # What runs ends only when it is told to.
        eventually(lambda: hidden() <= 2, 20, "what was not begun is not handed back")
        assert worker.is_alive
        with stage.told_to_go():
            assert worker.wait() == 0
    begun = [name for name in stage.noted("begun") if name.startswith("end-")]
    ended = [name for name in stage.noted("done") if name.startswith("end-")]
    assert sorted(begun) == sorted(ended)
    assert len(begun) == 2
    assert stage.count(queue) + stage.count(other) == 6
    assert stage.count(queue, hidden=True) + stage.count(other, hidden=True) == 0


def test_what_was_done_and_not_deleted_when_its_worker_died_is_done_once_more(
    stage: Stage, still: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = stage.queue("undeleted", max_receives=5)
    monkeypatch.setenv("MANGAASSIST_FAILPOINT", Failpoint.WORKER_BEFORE_DELETE)
    stage.send(queue, "test.note", "twice")
    with stage.worker("threads", 1, queue, visibility_timeout=SHORT_VISIBILITY) as worker:
        assert worker.wait() == -signal.SIGKILL
    assert stage.noted("done").count("twice") == 1
    monkeypatch.delenv("MANGAASSIST_FAILPOINT")
    still.advance(SHORT_VISIBILITY)
    with stage.worker("threads", 1, queue, visibility_timeout=SHORT_VISIBILITY) as worker:
        eventually(lambda: stage.noted("done").count("twice") == 2, 20, "it is not done again")
        assert worker.stop() == 0
    assert stage.is_empty(queue)


def test_what_a_killed_worker_held_is_done_by_another(stage: Stage, still: Clock) -> None:
    queue = stage.queue("killed")
    stage.send(queue, "test.wait", "kill-0", "kill-1")
    with stage.worker("solo", 1, queue, visibility_timeout=SHORT_VISIBILITY) as worker:
        eventually(lambda: "kill-0" in stage.noted("begun"), 10, "it does not begin")
        worker.kill()
    assert not stage.noted("done").count("kill-0")
    still.advance(SHORT_VISIBILITY)
    with (
        stage.told_to_go(),
        stage.worker("threads", 2, queue, visibility_timeout=SHORT_VISIBILITY) as worker,
    ):
        eventually(
            lambda: {"kill-0", "kill-1"} <= set(stage.noted("done")), 15, "not done by another"
        )
        assert worker.stop() == 0
    assert stage.is_empty(queue)


def test_a_task_that_kills_a_worker_with_threads_is_a_dead_letter_after_its_receives(
    stage: Stage, still: Clock
) -> None:
    """The whole process dies each time, and whoever runs it starts it again."""
    queue = stage.queue("deadly", max_receives=2)
    row: dict[str, Any] = {"visibility_timeout": SHORT_VISIBILITY, "max_receives": 2}
    stage.send(queue, "test.die", "deadly")
    for _ in range(2):
        with stage.worker("threads", 2, queue, **row) as worker:
            assert worker.wait() == -signal.SIGKILL
        still.advance(SHORT_VISIBILITY)
    stage.send(queue, "test.note", "good-after-deadly")
    with stage.worker("threads", 2, queue, **row) as worker:
        eventually(lambda: stage.count(queue + "-dlq") == 1, 20, "it is not redriven")
        eventually(lambda: "good-after-deadly" in stage.noted("done"), 10, "others do not run")
        assert worker.is_alive
    assert stage.noted("begun").count("deadly") == 2


def test_a_delayed_job_waits_in_sqs_and_not_in_a_worker(stage: Stage) -> None:
    queue = stage.queue("delayed")
    with stage.worker("threads", 2, queue) as worker:
        stage.sqs.send_message(
            QueueUrl=queue,
            MessageBody=build("test.note", b"delayed", message_id="delayed"),
            DelaySeconds=900,
        )
        stage.send(queue, "test.note", "beside-delayed")
        eventually(lambda: "beside-delayed" in stage.noted("done"), 20, "the worker does not ask")
        eventually(lambda: stage.count(queue, hidden=True) == 0, 20, "the worker has it")
        worker.kill()
    assert "delayed" not in stage.noted("done")
    stage.clock.advance(900)
    with stage.worker("threads", 2, queue) as worker:
        eventually(lambda: "delayed" in stage.noted("done"), 20, "it is not done")
    assert stage.noted("done").count("delayed") == 1
