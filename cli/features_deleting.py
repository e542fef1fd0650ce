"""`mangaassist features delete`: users' records in the feature store, then what is merged of them.

The store goes first, and is asked before what it has: it says the same of a deletion whether there
was something or not. Where the call is cut off before the workers are told, the check erases what
is merged once it meets it; the same call again changes nothing.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from adapters.aws_clients import AwsClients
from adapters.prometheus_metrics import Metrics
from adapters.sagemaker_features import SageMakerFeatures
from adapters.sagemaker_loading import SageMakerLoading
from adapters.sqs_queues import SqsQueues
from adapters.token_bucket import TokenBucket
from cli import output
from cli.failures import Failure
from cli.target import aim
from config import features, queues
from domain.errors import MangaAssistError
from domain.features import event_time_of, iso_8601
from domain.jobs import SyncFeatures
from domain.ports import FeatureSource
from workers.sqs_sending import SqsSending, new_pack_id

PRODUCER = "mangaassist-cli"


def run(
    user_ids: Sequence[str], groups: Sequence[str], data_dir: Path | None, *, for_good: bool
) -> None:
    """Delete these users' records of these groups, or of all; raises Failure for other groups."""
    table = features.declared()
    for group in groups:
        if group not in table.groups:
            raise Failure(
                f"there is no feature group {group!r}; there are {', '.join(table.groups)}"
            )
    aim(data_dir)
    aws = AwsClients()
    turns = TokenBucket(table.quotas.cli_per_second)
    loading = SageMakerLoading(aws, table.groups, turns)
    store = SageMakerFeatures(aws, table.groups, turns, Metrics())
    before = found(store, user_ids, groups or list(table.groups))
    # As the store takes it, so that both forget the same records.
    deleted_at = event_time_of(iso_8601(time.time()))
    wanted = [(user_id, group) for user_id in user_ids for group in groups or table.groups]
    for user_id, group in wanted:
        loading.delete(user_id, group, deleted_at, for_good=for_good)
    _have_erased(aws, wanted, deleted_at)
    output.line(f"{before}; the workers erase what is merged of these users")


def _have_erased(aws: AwsClients, wanted: Sequence[tuple[str, str]], deleted_at: float) -> None:
    SqsSending(SqsQueues(aws), queues.declared()).jobs(
        [
            SyncFeatures(
                event_id=new_pack_id(),
                producer=PRODUCER,
                seq=number,
                occurred_at=deleted_at,
                user_id=user_id,
                group=group,
                deleted_at=deleted_at,
            )
            for number, (user_id, group) in enumerate(wanted)
        ]
    )


def found(store: FeatureSource, user_ids: Sequence[str], groups: Sequence[str]) -> str:
    """What there is to delete of these users, in words; not to know it keeps nothing there."""
    try:
        batch = store.read(user_ids, groups)
    except MangaAssistError as error:
        return f"deleted, whatever was there: it could not be read ({error})"
    records = sum(map(len, batch.records.values())) + sum(map(len, batch.unusable.values()))
    said = f"{output.number(records, 'record')} deleted" if records else "there was no record"
    unread = output.number(len(batch.unread), "user")
    return f"{said}, {unread} deleted unread" if batch.unread else said
