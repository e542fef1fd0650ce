"""The composition of the adapters: `connect` makes the ports of one process.

Called once for each process, after the fork. It opens no socket: every client connects at its
first call. Raises ConfigError for settings that cannot be used.
"""

import time
from dataclasses import dataclass

from adapters.aws_clients import AwsClients, Limits
from adapters.cloudwatch_audit import CloudWatchAudit
from adapters.cloudwatch_health import CloudWatchHealth
from adapters.dependency_probes import DependencyProbes
from adapters.dynamodb_catalogue import DynamoDBCatalogue
from adapters.dynamodb_parking import DynamoDBParking
from adapters.dynamodb_sessions import DynamoDBSessions
from adapters.dynamodb_users import DynamoDBUsers
from adapters.endpoint_probe import EndpointProbe
from adapters.kinesis_analytics import KinesisAnalytics
from adapters.pseudonyms import Pseudonyms
from adapters.redis_answers import RedisAnswers
from adapters.redis_bookmarks import RedisBookmarks
from adapters.redis_checks import RedisAnswerChecks
from adapters.redis_connection import RedisConnection
from adapters.redis_counts import RedisCounts
from adapters.redis_failures import RedisFailures
from adapters.redis_hot_users import Kept, RedisHotUsers
from adapters.redis_preferences import RedisPreferences
from adapters.redis_recommendations import RedisRecommendations
from adapters.redis_responses import RedisResponses
from adapters.redis_sessions import RedisSessions
from adapters.response_wire import ResponseWire
from adapters.sagemaker_features import SageMakerFeatures
from adapters.sagemaker_recommender import SageMakerRecommender
from adapters.sqs_dead_letters import SqsDeadLetters
from adapters.sqs_opened_letters import SqsOpenedLetters
from adapters.sqs_queues import SqsQueues
from adapters.token_bucket import TokenBucket
from config import answers, endpoints, features, queues, recommendations, response_cache
from config.answers import Trending
from config.errors import ConfigError
from config.features import DAY_SECONDS, Hot
from config.settings import Settings
from domain.events import InteractionType
from domain.ports import FeatureSource, Ports, Recommender, TaskMetrics, UserCache
from domain.summaries import extract
from domain.trending import Rule


def connect(
    settings: Settings, metrics: TaskMetrics, reads_per_second: float | None = None
) -> Ports:
    """The ports over the services that these settings and the SDK's own variables name.

    `reads_per_second` is what this process may ask of the feature store; default: a worker's share.
    """
    declared, groups = answers.declared(), features.declared()
    aws = AwsClients()
    redis = redis_of(settings)
    failures = RedisFailures(redis)
    sqs = SqsQueues(aws, metrics)
    pseudonyms = Pseudonyms(settings.pseudonym_key)
    retracted_seconds = response_cache.declared().tombstone_days * 86_400
    return Ports(
        clock=time.time,
        today=settings.store_day,
        answers=RedisAnswers(redis),
        responses=RedisResponses(
            redis, response_wire(settings), tombstone_seconds=retracted_seconds
        ),
        checks=RedisAnswerChecks(redis, retracted_seconds=retracted_seconds),
        counts=RedisCounts(redis, trending_rule(declared.trending), time.time),
        sessions=DynamoDBSessions(aws, settings.sessions_table, settings.session_days, time.time),
        summarise=extract,
        session_copies=RedisSessions(
            redis,
            copy_seconds=declared.kinds.session.ttl_seconds,
            history_seconds=declared.kinds.session.hard_ttl_seconds,
            owner_seconds=settings.session_seconds,
        ),
        preferences=RedisPreferences(redis, settings.session_seconds, time.time),
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
        features=SageMakerFeatures(
            aws,
            groups.groups,
            TokenBucket(reads_per_second or groups.quotas.worker_per_second),
            metrics,
        ),
        users=DynamoDBUsers(aws, settings.users_table, time.time),
        hot_users=RedisHotUsers(redis, kept(groups.hot), time.time),
        recommendations=RedisRecommendations(
            redis, time.time, due_seconds=recommendations.declared().due_days * DAY_SECONDS
        ),
        recommender=SageMakerRecommender(aws, settings.recommender_endpoint),
        bookmarks=RedisBookmarks(redis),
        endpoints=EndpointProbe(aws, endpoints.declared(), settings.opensearch_url),
        health_reports=CloudWatchHealth(aws, endpoints.declared().namespace),
        metrics=metrics,
    )


def probes_of(settings: Settings) -> DependencyProbes:
    """What asks the same services whether they answer; each question is asked once."""
    return DependencyProbes(AwsClients(Limits(attempts=1)), redis_of(settings), settings)


@dataclass(frozen=True, slots=True)
class PathPorts:
    """What the request path asks while a user waits; each call is tried once and soon given up."""

    users: UserCache
    features: FeatureSource
    recommender: Recommender


def connect_path(settings: Settings, metrics: TaskMetrics, seconds: float) -> PathPorts:
    """The ports of the request path; nobody waits for longer than these seconds."""
    aws, groups = AwsClients(Limits(seconds, seconds, attempts=1)), features.declared()
    turns = TokenBucket(groups.quotas.worker_per_second)
    return PathPorts(
        users=DynamoDBUsers(aws, settings.users_table, time.time),
        features=SageMakerFeatures(aws, groups.groups, turns, metrics),
        recommender=SageMakerRecommender(aws, settings.recommender_endpoint),
    )


def redis_of(settings: Settings) -> RedisConnection:
    """The Redis of these settings; raises ConfigError for a URL that is none."""
    try:
        return RedisConnection(settings.redis_url)
    except ValueError as error:
        raise ConfigError(f"MANGAASSIST_REDIS_URL: {error}") from error


def kept(table: Hot) -> Kept:
    """The declared figures of what Redis holds of users."""
    return Kept(
        features_seconds=table.features_seconds,
        features_jitter_seconds=table.features_jitter_seconds,
        seen_seconds=table.seen_seconds,
        recent_titles=table.recent_titles,
        recent_seconds=table.recent_days * DAY_SECONDS,
    )


def response_wire(settings: Settings) -> ResponseWire:
    """How responses are written and read under the secret of these settings."""
    return ResponseWire(
        settings.pseudonym_key, compress_bytes=response_cache.declared().compress_bytes
    )


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
        min_visitors=table.min_visitors,
    )
