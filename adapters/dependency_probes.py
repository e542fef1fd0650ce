"""Whether a dependency answers: one cheap call to each that a job's failure can name.

For a worker that has paused what needs it. The calls change nothing that anybody reads: a write
whose condition never holds, two look-ups, and a Redis key that is gone after a second. Needs
UpdateItem, ListShards and DescribeLogStreams; without, the refusal is taken for an answer, and a
job has to find out. Thread-safe; make another one after a fork.
"""

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from adapters import aws_errors, redis_errors
from adapters.aws_clients import AwsClients
from adapters.redis_connection import RedisConnection
from config.settings import Settings
from domain.errors import Transient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PROBE = "mangaassist:probe"
PROBE_MILLISECONDS = 1000
DENIED_CODES = frozenset({"AccessDenied", "AccessDeniedException"})


class DependencyProbes:
    """Asks by the name that `Transient.dependency` has."""

    def __init__(self, aws: AwsClients, redis: RedisConnection, settings: Settings) -> None:
        self._aws = aws
        self._redis = redis
        self._settings = settings
        self._asks: Mapping[str, Callable[[], object]] = {
            "dynamodb": self._ask_dynamodb,
            "kinesis": self._ask_kinesis,
            "logs": self._ask_logs,
            redis_errors.DEPENDENCY: self._ask_redis,
        }

    def answers(self, dependency: str) -> bool:
        """Whether it answers; True for one that can't be asked, which only a job can try."""
        ask = self._asks.get(dependency)
        if ask is None:
            return True
        try:
            ask()
        except ClientError as error:
            denied = aws_errors.code_of(error) in DENIED_CODES
            return denied or not isinstance(aws_errors.meaning(error, dependency), Transient)
        except (BotoCoreError, Transient):
            return False
        return True

    def _ask_dynamodb(self) -> None:
        # A write, since writes are what is throttled first.
        self._aws.dynamodb.update_item(
            TableName=self._settings.sessions_table,
            Key={"session_id": {"S": PROBE}},
            UpdateExpression="REMOVE probe",
            ConditionExpression="attribute_exists(session_id)",
        )

    def _ask_kinesis(self) -> None:
        self._aws.kinesis.list_shards(StreamName=self._settings.analytics_stream, MaxResults=1)

    def _ask_logs(self) -> None:
        self._aws.logs.describe_log_streams(logGroupName=self._settings.audit_log_group, limit=1)

    def _ask_redis(self) -> None:
        # A write: a server that is full or read-only answers PING.
        with redis_errors.translated():
            self._redis.client.set(PROBE, b"", px=PROBE_MILLISECONDS)
