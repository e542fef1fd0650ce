"""`mangaassist features delete`: users' records in the feature store, then what is merged of them.

The store goes first. Where the call is cut off before the workers are told, the check erases what
is merged once it meets it; the same call again changes nothing.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from adapters.aws_clients import AwsClients
from adapters.sagemaker_loading import SageMakerLoading
from adapters.sqs_queues import SqsQueues
from adapters.token_bucket import TokenBucket
from cli import output
from cli.failures import Failure
from cli.target import aim
from config import features, queues
from domain.features import event_time_of, iso_8601
from domain.jobs import SyncFeatures
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
    loading = SageMakerLoading(aws, table.groups, TokenBucket(table.quotas.cli_per_second))
    # As the store takes it, so that both forget the same records.
    deleted_at = event_time_of(iso_8601(time.time()))
    wanted = [(user_id, group) for user_id in user_ids for group in groups or table.groups]
    for user_id, group in wanted:
        loading.delete(user_id, group, deleted_at, for_good=for_good)
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
    # Of what is not there the store says the same as of what is.
    output.line(
        f"{output.number(len(wanted), 'record')} deleted, as far as the store had them; "
        "the workers erase what is merged of them"
    )
