"""What `doctor` looks at in AWS: queues, tables, stream, logs, features, endpoint, catalogue."""

from collections.abc import Iterator

from adapters.aws_clients import AwsClients
from adapters.aws_errors import translated
from adapters.dynamodb_catalogue import DynamoDBCatalogue
from adapters.sagemaker_recommender import SageMakerRecommender
from adapters.sqs_queues import SqsQueues
from cli.findings import Finding, fail, ok, warn
from cli.output import number
from cli.trips import median_ms
from config import features as feature_table
from config import queues as queue_table
from config.queues import dead_letter_name, sqs_name
from config.settings import Settings
from domain.errors import MangaAssistError
from domain.recommendations import RecommendationRequest

MODEL_SECONDS = 5.0
PROVISION = "run `mangaassist provision`"


def queues(aws: AwsClients) -> Iterator[Finding]:
    """Each queue is there, and its dead-letter queue is there and empty."""
    sqs = SqsQueues(aws)
    for name in queue_table.declared().queues:
        what = f"queue {name}"
        try:
            depth = sqs.depth(sqs_name(name))
            dead = sqs.depth(dead_letter_name(name))
        except MangaAssistError as error:
            yield fail(what, str(error), PROVISION)
            continue
        detail = f"{depth.visible} waiting, {depth.in_flight} under way, {dead.visible} dead"
        if dead.visible:
            yield warn(what, detail, f"mangaassist dlq list --queue {name}")
        else:
            yield ok(what, detail)


def tables(aws: AwsClients, settings: Settings) -> Iterator[Finding]:
    """Each table is there."""
    for name in (
        settings.sessions_table,
        settings.users_table,
        settings.parked_table,
        settings.catalogue_table,
    ):
        try:
            with translated("dynamodb"):
                status = aws.dynamodb.describe_table(TableName=name)["Table"]["TableStatus"]
        except MangaAssistError as error:
            yield fail(f"table {name}", str(error), PROVISION)
        else:
            yield ok(f"table {name}", status.lower())


def stream(aws: AwsClients, settings: Settings) -> Iterator[Finding]:
    """The stream is there."""
    name = settings.analytics_stream
    with translated("kinesis"):
        answer = aws.kinesis.describe_stream_summary(StreamName=name)
    status = answer["StreamDescriptionSummary"]["StreamStatus"]
    yield ok(f"stream {name}", status.lower())


def log_group(aws: AwsClients, settings: Settings) -> Iterator[Finding]:
    """The log group is there."""
    name = settings.audit_log_group
    with translated("logs"):
        answer = aws.logs.describe_log_groups(logGroupNamePrefix=name)
    if any(group.get("logGroupName") == name for group in answer["logGroups"]):
        yield ok(f"log group {name}", "there")
    else:
        yield fail(f"log group {name}", "not there", PROVISION)


def feature_groups(aws: AwsClients) -> Iterator[Finding]:
    """Each feature group answers, be it that it knows nobody."""
    for name, group in feature_table.declared().groups.items():
        what = f"feature group {name}"
        try:
            with translated("feature-store"):
                aws.feature_store.get_record(
                    FeatureGroupName=name,
                    RecordIdentifierValueAsString="doctor",
                    FeatureNames=[group.event_time],
                )
        except MangaAssistError as error:
            yield fail(what, str(error), PROVISION)
        else:
            yield ok(what, "answers")


def recommender(aws: AwsClients, settings: Settings) -> Iterator[Finding]:
    """The endpoint answers, be it to nothing; without it recommendations are popular titles."""
    what = f"endpoint {settings.recommender_endpoint}"
    model = SageMakerRecommender(aws, settings.recommender_endpoint)
    asked = RecommendationRequest((), {}, 1)
    try:
        took = median_ms(lambda: model.recommend(asked, MODEL_SECONDS))
    except MangaAssistError as error:
        yield warn(what, str(error), "see docs/runbooks/recommendations.md")
    else:
        yield ok(what, f"answers in {took:.0f} ms")


def catalogue(aws: AwsClients, settings: Settings) -> Iterator[Finding]:
    """A catalogue has been imported."""
    store = DynamoDBCatalogue(aws, settings.catalogue_table)
    version = store.version()
    if version is None:
        yield fail("catalogue", "none has been imported", "mangaassist import FILE")
    else:
        yield ok("catalogue", f"{number(len(store.load()), 'title')}, version {version[:12]}")
