"""Creates what must exist in AWS: queues with dead letters, tables, stream, log group, features.

Idempotent: what is there stays and gets the declared attributes. Waits until all of it is usable.
Raises Transient or Permanent. Needs the Create, Describe and Set or Update actions of each service.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError, WaiterError

from adapters.aws_clients import AwsClients
from adapters.aws_errors import code_of, translated
from adapters.provision_features import provision_group
from config import features
from config.queues import Queue, Queues, dead_letter_name, sqs_name
from config.settings import Settings
from domain.errors import Transient

if TYPE_CHECKING:
    from mypy_boto3_sqs.literals import QueueAttributeNameType

logger = logging.getLogger(__name__)

DAY_SECONDS = 86_400
UNKNOWN_ATTRIBUTE_CODES = frozenset(
    {"InvalidAttributeName", "NotImplemented", "UnsupportedOperation"}
)
AUDIT_RETENTION_DAYS = 400
EXPIRY_ATTRIBUTE = "expires_at"
WAIT_SECONDS, WAIT_TRIES = 1, 120

Done = TypeVar("Done")


def provision(settings: Settings, queues: Queues, aws: AwsClients | None = None) -> None:
    """Create everything that the declared queues and these settings name."""
    aws = aws or AwsClients()
    tables: Mapping[str, Sequence[str]] = {
        settings.sessions_table: ("session_id",),
        settings.users_table: ("user_id",),
        settings.parked_table: ("pk", "sk"),
        settings.catalogue_table: ("pk", "sk"),
    }
    steps: list[Callable[[], None]] = [
        lambda: _queues(aws, queues),
        *(lambda name=name, keys=keys: _table(aws, name, keys) for name, keys in tables.items()),
        lambda: _stream(aws, settings.analytics_stream),
        lambda: _log_group(aws, settings.audit_log_group),
        *(
            lambda name=name, group=group: provision_group(aws, name, group)
            for name, group in features.declared().groups.items()
        ),
    ]
    with ThreadPoolExecutor(4) as threads:
        for step in [threads.submit(step) for step in steps]:
            step.result()


def has_table(aws: AwsClients, name: str) -> bool:
    """Whether the table is there, be it of use yet or not."""
    with translated("dynamodb"):
        try:
            aws.dynamodb.describe_table(TableName=name)
        except aws.dynamodb.exceptions.ResourceNotFoundException:
            return False
    return True


def _queues(aws: AwsClients, queues: Queues) -> None:
    with translated("sqs"):
        for name, queue in queues.queues.items():
            _queue(aws, name, queue)


def _queue(aws: AwsClients, name: str, queue: Queue) -> None:
    dead = _create_queue(aws, dead_letter_name(name))
    source = _create_queue(aws, sqs_name(name))
    dead_arn, source_arn = _arn(aws, dead), _arn(aws, source)
    aws.sqs.set_queue_attributes(
        QueueUrl=source,
        Attributes=_attributes(
            VisibilityTimeout=queue.visibility_seconds,
            MessageRetentionPeriod=queue.retention_days * DAY_SECONDS,
            RedrivePolicy={"deadLetterTargetArn": dead_arn, "maxReceiveCount": queue.max_receives},
        ),
    )
    aws.sqs.set_queue_attributes(
        QueueUrl=dead,
        Attributes=_attributes(
            MessageRetentionPeriod=queue.dead_letter_retention_days * DAY_SECONDS,
        ),
    )
    _allow_redrive(aws, dead, source_arn)


def _allow_redrive(aws: AwsClients, dead: str, source_arn: str) -> None:
    """Let the source alone send to its dead letters: a guard that not every server knows."""
    policy = {"redrivePermission": "byQueue", "sourceQueueArns": [source_arn]}
    try:
        aws.sqs.set_queue_attributes(
            QueueUrl=dead, Attributes=_attributes(RedriveAllowPolicy=policy)
        )
    except ClientError as error:
        if code_of(error) not in UNKNOWN_ATTRIBUTE_CODES:
            raise
        logger.warning("%s takes no RedriveAllowPolicy: %s", dead, code_of(error))


def _create_queue(aws: AwsClients, name: str) -> str:
    # Without attributes this is idempotent whatever the attributes of the existing queue are.
    return aws.sqs.create_queue(QueueName=name)["QueueUrl"]


def _arn(aws: AwsClients, url: str) -> str:
    answer = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return answer["Attributes"]["QueueArn"]


def _attributes(**values: object) -> "dict[QueueAttributeNameType, str]":
    return {
        name: value if isinstance(value, str) else json.dumps(value)  # type: ignore[misc]
        for name, value in values.items()
    }


def _table(aws: AwsClients, name: str, keys: Sequence[str]) -> None:
    with translated("dynamodb"):
        _unless_there(
            "ResourceInUseException",
            lambda: aws.dynamodb.create_table(
                TableName=name,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
                KeySchema=[
                    {"AttributeName": key, "KeyType": "HASH" if at == 0 else "RANGE"}
                    for at, key in enumerate(keys)
                ],
            ),
        )
        _wait(lambda: _table_exists(aws, name), f"table {name}")
        status = aws.dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        if status.get("TimeToLiveStatus") not in {"ENABLED", "ENABLING"}:
            aws.dynamodb.update_time_to_live(
                TableName=name,
                TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRY_ATTRIBUTE},
            )


def _table_exists(aws: AwsClients, name: str) -> None:
    aws.dynamodb.get_waiter("table_exists").wait(
        TableName=name, WaiterConfig={"Delay": WAIT_SECONDS, "MaxAttempts": WAIT_TRIES}
    )


def _stream(aws: AwsClients, name: str) -> None:
    with translated("kinesis"):
        _unless_there(
            "ResourceInUseException",
            lambda: aws.kinesis.create_stream(
                StreamName=name, StreamModeDetails={"StreamMode": "ON_DEMAND"}
            ),
        )
        _wait(lambda: _stream_exists(aws, name), f"stream {name}")


def _stream_exists(aws: AwsClients, name: str) -> None:
    aws.kinesis.get_waiter("stream_exists").wait(
        StreamName=name, WaiterConfig={"Delay": WAIT_SECONDS, "MaxAttempts": WAIT_TRIES}
    )


def _log_group(aws: AwsClients, name: str) -> None:
    with translated("logs"):
        _unless_there(
            "ResourceAlreadyExistsException",
            lambda: aws.logs.create_log_group(logGroupName=name),
        )
        aws.logs.put_retention_policy(logGroupName=name, retentionInDays=AUDIT_RETENTION_DAYS)


def _unless_there(code: str, create: Callable[[], Done]) -> None:
    try:
        create()
    except ClientError as error:
        if code_of(error) != code:
            raise


def _wait(usable: Callable[[], None], what: str) -> None:
    try:
        usable()
    except WaiterError as error:
        raise Transient(f"{what} did not become usable in time") from error
