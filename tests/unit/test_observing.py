"""What the transport reports becomes metrics by our queue names, and a worker's liveness."""

from domain.errors import Transient
from workers.observing import LastReceives, MetricsObserver
from workers.queue_gauges import QueueGauges


class Metrics:
    def __init__(self) -> None:
        self.seen: list[tuple[str, tuple[str, ...], float]] = []

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        self.seen.append((name, tuple(labels.values()), amount))

    def set(self, name: str, value: float, **labels: str) -> None:
        self.seen.append((name, tuple(labels.values()), value))

    def observe(self, name: str, value: float, **labels: str) -> None: ...


def test_a_worker_is_alive_while_each_queue_answers_empty_or_not() -> None:
    now = [0.0]
    receives = LastReceives(["sessions", "audit"], clock=lambda: now[0])
    observer = MetricsObserver(
        Metrics(), {"mangaassist-sessions": "sessions", "mangaassist-audit": "audit"}, receives
    )
    now[0] = 40.0
    observer.receive_succeeded("mangaassist-sessions", 0, empty=True)
    assert receives.healthy()
    now[0] = 50.0
    assert receives.ages_seconds() == {"sessions": 10.0, "audit": 50.0}
    assert not receives.healthy()


def test_a_worker_is_alive_while_it_leaves_a_queue_alone_on_purpose() -> None:
    now, metrics = [0.0], Metrics()
    receives = LastReceives(["audit"], clock=lambda: now[0])
    observer = MetricsObserver(metrics, {"mangaassist-audit": "audit"}, receives)
    observer.paused("mangaassist-audit", dependency="logs")
    now[0] = 3600.0
    assert receives.healthy()
    observer.resumed("mangaassist-audit")
    now[0] += 40.0
    assert receives.healthy()
    now[0] += 10.0
    assert not receives.healthy()
    assert metrics.seen == [("queue_paused", ("audit",), 1), ("queue_paused", ("audit",), 0)]


def test_a_drained_queue_has_no_old_job() -> None:
    metrics = Metrics()
    observer = MetricsObserver(metrics, {"mangaassist-audit": "audit"}, LastReceives([]))
    observer.receive_succeeded("mangaassist-audit", 3, empty=False)
    assert metrics.seen == []
    observer.receive_succeeded("mangaassist-audit", 0, empty=True)
    assert metrics.seen == [("queue_oldest_seconds", ("audit",), 0.0)]


def test_each_report_is_counted_under_our_name_of_the_queue() -> None:
    metrics = Metrics()
    observer = MetricsObserver(metrics, {"mangaassist-audit": "audit"}, LastReceives([]))
    observer.receive_failed("mangaassist-audit", "timeout")
    observer.message_rejected("mangaassist-audit", "json")
    observer.deletes("mangaassist-audit", ok=9, failed=2)
    observer.heartbeat("mangaassist-audit", messages=3, failed=1)
    observer.request("ReceiveMessage")
    observer.put_off("mangaassist-audit", 2.5)
    assert metrics.seen == [
        ("receive_failures_total", ("audit", "timeout"), 1),
        ("messages_rejected_total", ("audit", "json"), 1),
        ("delete_failures_total", ("audit",), 2),
        ("heartbeats_total", ("audit", "extended"), 3),
        ("heartbeats_total", ("audit", "failed"), 1),
        ("sqs_requests_total", ("ReceiveMessage",), 1),
        ("retry_wait_seconds_total", ("audit",), 2.5),
    ]


def test_a_queue_that_can_not_be_asked_does_not_keep_the_others_from_being_shown() -> None:
    metrics = Metrics()

    def depth(name: str) -> int:
        if name == "mangaassist-audit":
            raise Transient("SQS does not answer")
        return 7

    QueueGauges(["audit", "sessions"], depth, metrics).poll()
    assert metrics.seen == [
        ("dlq_depth", ("audit",), 7),
        ("queue_depth", ("sessions",), 7),
        ("dlq_depth", ("sessions",), 7),
    ]
