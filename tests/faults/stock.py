"""The same faults on stock Celery and kombu, behind the same proxy, on the same SQS emulator.

A worker that exits is started again, as an orchestrator would; one that lives and does nothing is
not, since nobody can tell. Its rows stand beside ours in docs/faults.md.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from bench import stack
from bench.processes import Child, Processes
from bench.sink import ENVIRONMENT, create
from emulators import FaultRule
from tests.faults.nemesis import Nemesis
from tests.faults.poison import malformed
from tests.faults.proxy import Fault, Mode
from tests.faults.strikes import order_emulators

EVENTS = 300
SECONDS = 4.0
FAULT_FROM, FAULT_SECONDS = 1.0, 2.5
VISIBILITY_SECONDS = 5
MAX_RECEIVES = 5
PATIENCE_SECONDS = 45.0
"""After the last event was sent; what is not done by then is not done."""
QUEUE = "bench-stock"
CONFIRMED = "confirmed"


@dataclass(frozen=True, slots=True)
class StockOutcome:
    """What a run came to."""

    acked: int
    lost: int
    """Confirmed to the customer, and without effect when patience ended."""
    doubled: int
    exits: int
    recovery_seconds: float | None
    """None where it did not recover."""

    def document(self) -> dict[str, object]:
        """As it is kept."""
        return {
            "acked": self.acked,
            "lost": self.lost,
            "doubled": self.doubled,
            "exits": self.exits,
            "recovery_seconds": self.recovery_seconds,
        }


class Stock:
    """A stock worker, the queue that it works on, and what stands between."""

    def __init__(self, within: ExitStack) -> None:
        self._processes = within.enter_context(Processes())
        self._cores = frozenset(os.sched_getaffinity(0))
        self.sqs = stack.start_sqs(self._processes, self._cores)
        port = int(self.sqs.url.rpartition(":")[2])
        self.nemesis = Nemesis({"sqs": port})
        within.callback(self.nemesis.close)
        self._client = self.sqs.client()
        self._url = self._create_queue()
        self.sink = create(self._processes.directory / "sink", EVENTS)
        self.exits = 0
        self._worker = self._start_worker()

    def tend(self) -> None:
        """Start the worker again where it has ended."""
        if self._worker.process.poll() is not None:
            self.exits += 1
            self._worker = self._start_worker()

    def kill(self) -> None:
        """Kill the worker and what it has forked."""
        os.killpg(self._worker.pid, signal.SIGKILL)
        self._worker.process.wait()
        self.exits -= 1  # it was not its own doing
        self.tend()

    def poison(self) -> None:
        """Send what is no task."""
        for body in malformed("bench.baselines.stock_events.keep_in_memory"):
            self._client.send_message(QueueUrl=self._url, MessageBody=body)

    def start_customer(self) -> Child:
        """Begin to send."""
        sender = [sys.executable, "-m", "tests.faults.stock_sender"]
        arguments = [*sender, str(EVENTS), str(SECONDS), CONFIRMED]
        return self._processes.start("sender", arguments, self._cores, self._environment())

    def _start_worker(self) -> Child:
        arguments = [
            *(sys.executable, "-m", "celery", "-A", "tests.faults.stock_app:APP", "worker"),
            *("--loglevel", "WARNING", "--without-gossip", "--without-mingle"),
            *("--pool", "prefork", "--concurrency", "2"),
        ]
        return self._processes.start("worker", arguments, self._cores, self._environment())

    def _environment(self) -> dict[str, str]:
        endpoint = f"http://127.0.0.1:{self.nemesis.ports['sqs']}"
        queue_url = self._url.replace(self.sqs.url, endpoint)
        return {
            **self.sqs.environment,
            "AWS_ENDPOINT_URL_SQS": endpoint,
            "BENCH_STOCK_QUEUE_URL": queue_url,
            "FAULTS_VISIBILITY": str(VISIBILITY_SECONDS),
            ENVIRONMENT: str(self._processes.directory / "sink"),
        }

    def _create_queue(self) -> str:
        dead = self._client.create_queue(QueueName=f"{QUEUE}-dlq")["QueueUrl"]
        found = self._client.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
        policy = {
            "deadLetterTargetArn": found["Attributes"]["QueueArn"],
            "maxReceiveCount": str(MAX_RECEIVES),
        }
        return self._client.create_queue(
            QueueName=QUEUE,
            Attributes={
                "VisibilityTimeout": str(VISIBILITY_SECONDS),
                "RedrivePolicy": json.dumps(policy),
            },
        )["QueueUrl"]


Strike = Callable[[Stock], None]


def _rule(kind: str, action: str, probability: float = 1.0) -> Strike:
    rule = FaultRule(kind=kind, action=action, probability=probability)  # type: ignore[arg-type]

    def strike(stock: Stock) -> None:
        order_emulators(stock.sqs.url, "PUT", [rule])

    return strike


def _wire(mode: Mode) -> Strike:
    return lambda stock: stock.nemesis.strike("sqs", Fault(mode=mode))


STRIKES: Mapping[str, Strike] = {
    "Q1 refused": _wire(Mode.REFUSED),
    "Q1 black hole": _wire(Mode.BLACK_HOLE),
    "Q1 send throttled": _rule("throttle", "Send*"),
    "Q3 send reply lost": _rule("lose_reply", "Send*", 0.3),
    "Q4 receive 500": _rule("http500", "Receive*"),
    "Q4 receive throttled": _rule("throttle", "Receive*"),
    "Q4 receive expired": _rule("expired_token", "Receive*"),
    "Q4 receive reset": _rule("reset", "Receive*"),
    "Q5 delete 500": _rule("http500", "Delete*"),
    "Q6 duplicates": _rule("duplicate", "Receive*", 0.5),
    "P3 worker-interactive killed": Stock.kill,
    "P11 poison": Stock.poison,
}
"""By the name of the cell that strikes ours alike."""


def run(strike: Strike) -> StockOutcome:
    """Strike once while a customer sends."""
    with ExitStack() as within:
        stock = Stock(within)
        _until(stock, lambda: stock.sqs.calls().get("ReceiveMessage", 0) > 0, 60)
        customer = stock.start_customer()
        _until(stock, lambda: CONFIRMED in customer.log.read_text(), 60)
        _until(stock, lambda: False, FAULT_FROM)
        strike(stock)
        _until(stock, lambda: False, FAULT_SECONDS)
        order_emulators(stock.sqs.url, "DELETE")
        stock.nemesis.heal()
        healed_at = time.monotonic()
        _until(stock, lambda: customer.process.poll() is not None, 120)
        acked = customer.log.read_text().count(f"{CONFIRMED} ")
        recovered = _until(stock, lambda: stock.sink.applied() >= acked, PATIENCE_SECONDS)
        took = time.monotonic() - healed_at
        # What was done may come again until nothing hides any more.
        _until(stock, lambda: False, VISIBILITY_SECONDS + 2)
        return StockOutcome(
            acked=acked,
            lost=max(0, acked - stock.sink.applied()),
            doubled=stock.sink.twice(),
            exits=stock.exits,
            recovery_seconds=round(took, 1) if recovered else None,
        )


def _until(stock: Stock, done: Callable[[], bool], seconds: float) -> bool:
    """Wait and look after the worker; whether it came to pass."""
    deadline = time.monotonic() + seconds
    while not done():
        stock.tend()
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
