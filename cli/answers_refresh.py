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
from domain.catalogue import MIN_BROWSABLE
from domain.errors import Transient
from domain.jobs import PrecomputeAnswers
from domain.ports import Ports, PublishedSet
from workers.sqs_sending import SqsSending, new_pack_id

PAUSE_SECONDS = 0.05
WAIT_SECONDS = 60.0
PRODUCER = "mangaassist-cli"

Before = Mapping[str, PublishedSet | None]
"""The set of each kind that is to be overtaken."""
Told = Callable[[PublishedSet, PublishedSet | None], None]
"""Is given what is published now, and what was before."""


@dataclass(frozen=True, slots=True)
class Refresher:
    """Asks for new answers of the deployment that these ports reach."""

    ports: Ports
    sending: SqsSending

    def published(self, kinds: Collection[str]) -> Before:
        """What is published of each kind."""
        return {kind: self.ports.answers.current(kind) for kind in kinds}

    def request(self, kinds: Collection[str]) -> None:
        """Send a job for each kind."""
        for number, kind in enumerate(kinds):
            job = PrecomputeAnswers(
                event_id=new_pack_id(),
                producer=PRODUCER,
                seq=number,
                occurred_at=time.time(),
                answer_kind=kind,
            )
            self.sending.job(job, 0)

    def wait(self, before: Before, published: Told, seconds: float = WAIT_SECONDS) -> None:
        """Wait for a newer version of each kind, made of the catalogue of now, telling of each;
        raises Transient when it takes too long."""
        left = dict(before)
        deadline = time.monotonic() + seconds
        while True:
            for kind, old in list(left.items()):
                now = self.ports.answers.current(kind)
                if now is not None and self._overtakes(now, old):
                    del left[kind]
                    published(now, old)
            if not left:
                return
            if time.monotonic() > deadline:
                late = ", ".join(left)
                raise Transient(
                    f"no worker has published {late} of the newest catalogue within {seconds:g} s"
                )
            time.sleep(PAUSE_SECONDS)

    def _overtakes(self, now: PublishedSet, old: PublishedSet | None) -> bool:
        """Also what was under way when a catalogue was imported is newer, but of the one before."""
        is_newer = old is None or now.version > old.version
        return is_newer and now.catalogue == self.ports.catalogue.version()


def outcome(now: PublishedSet, before: PublishedSet | None) -> str:
    """What became of a kind, in a line."""
    if now.answers:
        return f"{now.kind}: version {now.version}"
    gone = f", {before.answers} withdrawn" if before is not None and before.answers else ""
    return f"{now.kind}: {why_none(now.kind)}{gone}"


def why_none(kind: str) -> str:
    """Why a catalogue gives no answers of this kind."""
    if kind == "genre":
        return f"no genre or demographic has {MIN_BROWSABLE} titles to list"
    return "the catalogue gives no answers"


def refresher(settings: Settings) -> Refresher:
    """The refresher of a deployment."""
    sending = SqsSending(SqsQueues(AwsClients()), queues.declared())
    return Refresher(connect(settings, Metrics()), sending)


def precomputed_kinds() -> tuple[str, ...]:
    """Every kind of answer that is precomputed, as the schedules say."""
    rows = schedules.declared().schedules.values()
    named = [str(row.arguments["answer_kind"]) for row in rows if row.job == PrecomputeAnswers.kind]
    return tuple(dict.fromkeys(named))
