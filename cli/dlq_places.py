"""Where the commands of `mangaassist dlq` look: the dead-letter queues and the parking table."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.aws_clients import AwsClients
from adapters.dynamodb_parking import DynamoDBParking
from adapters.prometheus_metrics import Metrics
from adapters.sqs_dead_letters import SqsDeadLetters
from adapters.sqs_queues import SqsQueues
from cli.failures import Failure
from cli.target import aim
from config import queues
from config.queues import sqs_name
from domain.errors import Permanent, Transient
from domain.ports import Parking


@dataclass(frozen=True, slots=True)
class Places:
    """Both, and the way back to the queues."""

    letters: SqsDeadLetters
    parking: Parking
    queues: SqsQueues

    def send(self, queue: str, body: str) -> None:
        """Send one message to a queue; raises MangaAssistError where SQS has not taken it."""
        (outcome,) = self.queues.send_batch(sqs_name(queue), [body])
        if not outcome.sent:
            error = Permanent if outcome.final else Transient
            raise error(f"SQS did not take it: {outcome.code}")


def places(data_dir: Path | None) -> Places:
    """Those of the target; raises Failure where there is none."""
    settings = aim(data_dir).settings
    aws = AwsClients()
    sqs = SqsQueues(aws)
    days = queues.declared().dead_letters.parked_days
    parking = DynamoDBParking(aws, settings.parked_table, days, time.time, Metrics())
    return Places(SqsDeadLetters(aws, sqs), parking, sqs)


def queues_named(name: str | None) -> Sequence[str]:
    """The queue of this name, or all; raises Failure where there is no such."""
    known = list(queues.declared().queues)
    if name is None:
        return known
    if name not in known:
        raise Failure(f"there is no queue {name!r}; there are {', '.join(known)}")
    return [name]
