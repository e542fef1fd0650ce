"""The one boto3 session of a process and its clients, one for each service, made when needed.

Nothing is opened before the first call. Region, credentials and endpoints are the SDK's own
variables (`AWS_REGION`, `AWS_ENDPOINT_URL_…`). Use it in one process: make another after a fork.
"""

import math
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config
from botocore.credentials import Credentials

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_sagemaker_featurestore_runtime import SageMakerFeatureStoreRuntimeClient
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_sqs import SQSClient

CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0
"""Nothing waits longer: long polls are the transport's, which has a client of its own."""
ATTEMPTS = 3
POOL_CONNECTIONS = 64

TIMEOUT_STEP_SECONDS = 0.5
"""A client has its time limit for good: rounding makes a handful of clients do for all limits."""

Client = TypeVar("Client")


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a call may take at the most, and how often it is tried."""

    connect_seconds: float = CONNECT_SECONDS
    read_seconds: float = READ_SECONDS
    attempts: int = ATTEMPTS

    def config(self) -> Config:
        """The same for the SDK."""
        return Config(
            connect_timeout=self.connect_seconds,
            read_timeout=self.read_seconds,
            retries={"mode": "standard", "total_max_attempts": self.attempts},
            tcp_keepalive=True,
            max_pool_connections=POOL_CONNECTIONS,
        )


@dataclass(frozen=True, slots=True)
class Access:
    """What a client of ours needs to call a service by itself: where, and how to sign."""

    service: str
    endpoint: str
    region: str
    signing_name: str
    credentials: Credentials | None


class AwsClients:
    """The clients; each property may be asked for from any thread."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._session: boto3.session.Session | None = None
        self._clients: dict[str, object] = {}

    @property
    def cloudwatch(self) -> "CloudWatchClient":
        """CloudWatch metrics."""
        return self._client(
            "cloudwatch", lambda session, config: session.client("cloudwatch", config=config)
        )

    @property
    def ec2(self) -> "EC2Client":
        """EC2, of which only VPC endpoints are looked at."""
        return self._client("ec2", lambda session, config: session.client("ec2", config=config))

    @property
    def dynamodb(self) -> "DynamoDBClient":
        """DynamoDB."""
        return self._client(
            "dynamodb", lambda session, config: session.client("dynamodb", config=config)
        )

    @property
    def feature_store(self) -> "SageMakerFeatureStoreRuntimeClient":
        """SageMaker Feature Store, the records."""
        return self._client(
            "sagemaker-featurestore-runtime",
            lambda session, config: session.client("sagemaker-featurestore-runtime", config=config),
        )

    @property
    def kinesis(self) -> "KinesisClient":
        """Kinesis Data Streams."""
        return self._client(
            "kinesis", lambda session, config: session.client("kinesis", config=config)
        )

    @property
    def logs(self) -> "CloudWatchLogsClient":
        """CloudWatch Logs."""
        return self._client("logs", lambda session, config: session.client("logs", config=config))

    def sagemaker_runtime(self, seconds: float) -> "SageMakerRuntimeClient":
        """SageMaker runtime, for calls that end within these seconds, rounded up, in one try."""
        steps = max(1, math.ceil(seconds / TIMEOUT_STEP_SECONDS - 1e-9))
        within = steps * TIMEOUT_STEP_SECONDS
        return self._client(
            f"sagemaker-runtime {steps}",
            lambda session, config: session.client("sagemaker-runtime", config=config),
            Limits(within, within, 1),
        )

    @property
    def sagemaker(self) -> Any:
        """SageMaker's control plane; it has no types here, since its stubs are very large."""
        return self._client(
            "sagemaker",
            lambda session, config: session.client("sagemaker", config=config),
        )

    @property
    def apigateway(self) -> "ApiGatewayManagementApiClient":
        """The connections of an API Gateway WebSocket API."""
        return self._client(
            "apigatewaymanagementapi",
            lambda session, config: session.client("apigatewaymanagementapi", config=config),
        )

    @property
    def sqs(self) -> "SQSClient":
        """SQS."""
        return self._client("sqs", lambda session, config: session.client("sqs", config=config))

    def access(self, service: str) -> Access:
        """Where the SDK would call a service, and with which credentials; reads files, so slow."""
        client: Any = self._client(
            service,
            lambda session, config: session.client(service, config=config),  # type: ignore[call-overload]
        )
        credentials, region = self.identity()
        signing_name = client.meta.service_model.signing_name
        return Access(service, client.meta.endpoint_url, region, signing_name, credentials)

    def identity(self) -> tuple[Credentials | None, str]:
        """The credentials, or None where there are none, and the region; reads files, so slow."""
        with self._lock:
            session = self._opened()
            return session.get_credentials(), session.region_name or ""

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            for client in self._clients.values():
                client.close()  # type: ignore[attr-defined]
            self._clients.clear()

    def _client(
        self,
        name: str,
        make: Callable[[boto3.session.Session, Config], Client],
        limits: Limits | None = None,
    ) -> Client:
        with self._lock:  # boto3 sessions are not thread-safe, its clients are
            if name not in self._clients:
                self._clients[name] = make(self._opened(), (limits or self._limits).config())
            return self._clients[name]  # type: ignore[return-value]

    def _opened(self) -> boto3.session.Session:
        if self._session is None:
            # botocore itself reads only AWS_DEFAULT_REGION.
            self._session = boto3.session.Session(region_name=os.environ.get("AWS_REGION"))
        return self._session
