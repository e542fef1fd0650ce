"""Has answers made anew by the workers, and waits for them. Sends jobs; publishes nothing."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from adapters.aws_clients import AwsClients
from adapters.connection import connect
from adapters.prometheus_metrics import Metrics
from adapters.sqs_queues import SqsQueues
from config import queues, schedules
from config.settings import Settings
from domain.errors import Transient
from domain.jobs import PrecomputeAnswers
from domain.ports import Ports
from domain.rendering import render
from tasks.publishing import material
from workers.sqs_sending import SqsSending, new_pack_id

PAUSE_SECONDS = 0.05
WAIT_SECONDS = 60.0
DOUBT_SECONDS = 1.0
"""After so long it is asked whether a kind has no answers at all: then none are published."""
PRODUCER = "mangaassist-cli"

Versions = Mapping[str, int]
Told = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Refresher:
    """Asks for new answers of the deployment that these ports reach."""

    ports: Ports
    sending: SqsSending

    def request(self, kinds: Collection[str]) -> Versions:
        """Send a job for each kind; the versions that are to be overtaken."""
        before = {kind: self._version(kind) for kind in kinds}
        for number, kind in enumerate(kinds):
            job = PrecomputeAnswers(
                event_id=new_pack_id(),
                producer=PRODUCER,
                seq=number,
                occurred_at=time.time(),
                answer_kind=kind,
            )
            self.sending.job(job, 0)
        return before

    def wait(self, before: Versions, published: Told, seconds: float = WAIT_SECONDS) -> None:
        """Wait for a newer version of each kind, telling of each; version 0 says that the
        catalogue has no answers of the kind. Raises Transient when it takes too long."""
        left = dict(before)
        began = time.monotonic()
        is_doubted = False
        while left:
            for kind in list(left):
                version = self._version(kind)
                if version > left[kind]:
                    del left[kind]
                    published(kind, version)
            waited = time.monotonic() - began
            if left and waited > DOUBT_SECONDS and not is_doubted:
                is_doubted = True
                for kind in filter(self._is_empty, list(left)):
                    del left[kind]
                    published(kind, 0)
            if left and waited > seconds:
                late = ", ".join(left)
                raise Transient(f"no worker has published {late} within {seconds:g} s")
            if left:
                time.sleep(PAUSE_SECONDS)

    def _version(self, kind: str) -> int:
        current = self.ports.answers.current(kind)
        return current.version if current else 0

    def _is_empty(self, kind: str) -> bool:
        return not render(kind, material(kind, self.ports, time.time()))


def refresher(settings: Settings) -> Refresher:
    """The refresher of a deployment."""
    sending = SqsSending(SqsQueues(AwsClients()), queues.declared())
    return Refresher(connect(settings, Metrics()), sending)


def precomputed_kinds() -> tuple[str, ...]:
    """Every kind of answer that is precomputed, as the schedules say."""
    rows = schedules.declared().schedules.values()
    named = [str(row.arguments["answer_kind"]) for row in rows if row.job == PrecomputeAnswers.kind]
    return tuple(dict.fromkeys(named))
