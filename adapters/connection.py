"""The composition of the adapters: `connect` makes the ports of one process.

Called once for each process, after the fork. It opens no socket: every client connects at its
first call. Raises ConfigError for settings that cannot be used.
"""

import time

from adapters.aws_clients import AwsClients
from adapters.cloudwatch_audit import CloudWatchAudit
from adapters.cloudwatch_health import CloudWatchHealth
from adapters.dynamodb_catalogue import DynamoDBCatalogue
from adapters.dynamodb_parking import DynamoDBParking
from adapters.dynamodb_sessions import DynamoDBSessions
from adapters.endpoint_probe import EndpointProbe
from adapters.kinesis_analytics import KinesisAnalytics
from adapters.pseudonyms import Pseudonyms
from adapters.redis_answers import RedisAnswers
from adapters.redis_connection import RedisConnection
from adapters.redis_counts import RedisCounts
from adapters.redis_failures import RedisFailures
from adapters.redis_sessions import RedisSessions
from adapters.sqs_dead_letters import SqsDeadLetters
from adapters.sqs_opened_letters import SqsOpenedLetters
from adapters.sqs_queues import SqsQueues
from config import answers, endpoints, queues
from config.answers import Trending
from config.errors import ConfigError
from config.settings import Settings
from domain.events import InteractionType
from domain.ports import Ports, TaskMetrics
from domain.trending import Rule


def connect(settings: Settings, metrics: TaskMetrics) -> Ports:
    """The ports over the services that these settings and the SDK's own variables name."""
    declared = answers.declared()
    aws = AwsClients()
    redis = redis_of(settings)
    failures = RedisFailures(redis)
    sqs = SqsQueues(aws, metrics)
    pseudonyms = Pseudonyms(settings.pseudonym_key)
    return Ports(
        clock=time.time,
        today=settings.store_day,
        answers=RedisAnswers(redis),
        counts=RedisCounts(redis, trending_rule(declared.trending), time.time),
        sessions=DynamoDBSessions(aws, settings.sessions_table, settings.session_days, time.time),
        session_copies=RedisSessions(
            redis,
            copy_seconds=declared.kinds.session.ttl_seconds,
            owner_seconds=settings.session_seconds,
        ),
        analytics=KinesisAnalytics(aws, settings.analytics_stream, pseudonyms),
        audit=CloudWatchAudit(aws, settings.audit_log_group, pseudonyms, time.time),
        parking=DynamoDBParking(
            aws,
            settings.parked_table,
            queues.declared().dead_letters.parked_days,
            time.time,
            metrics,
        ),
        failures=failures,
        dead_letters=SqsOpenedLetters(SqsDeadLetters(aws, sqs), sqs, failures),
        catalogue=DynamoDBCatalogue(aws, settings.catalogue_table),
        endpoints=EndpointProbe(aws, endpoints.declared(), settings.opensearch_url),
        health_reports=CloudWatchHealth(aws, endpoints.declared().namespace),
        metrics=metrics,
    )


def redis_of(settings: Settings) -> RedisConnection:
    """The Redis of these settings; raises ConfigError for a URL that is none."""
    try:
        return RedisConnection(settings.redis_url)
    except ValueError as error:
        raise ConfigError(f"MANGAASSIST_REDIS_URL: {error}") from error


def trending_rule(table: Trending) -> Rule:
    """The declared figures in the units that the domain works in."""
    weights = table.weights
    return Rule(
        weights={
            InteractionType.VIEW: weights.view,
            InteractionType.LOOKUP: weights.lookup,
            InteractionType.READ: weights.read,
            InteractionType.CART: weights.cart,
            InteractionType.PURCHASE: weights.purchase,
        },
        rating_weight_per_star=weights.rating_per_star,
        half_life_seconds=table.half_life_hours * 3600,
        window_seconds=table.window_days * 86_400.0,
        bucket_seconds=table.bucket_minutes * 60,
    )
