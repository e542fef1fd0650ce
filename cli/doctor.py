"""`mangaassist doctor`: is everything there that a deployment needs, and if not, what to do.

Looks only: at everything at the same time, and then at what is timed, one after the other, so that
no time has the others' in it.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from adapters.aws_clients import AwsClients
from cli import doctor_aws, doctor_processes, doctor_redis, endpoint_commands, output
from cli.failures import FAILED, Failure
from cli.findings import Finding, Look, State, found
from cli.target import Target, aim

Check = tuple[str, Look, str]
"""What is looked at, how, and what to do if even that fails."""

THREADS = 8
TIMED = {"redis", "endpoints", "recommender"}
"""The checks that tell how long something takes."""


def run(data_dir: Path | None, *, as_json: bool) -> None:
    """Print what is found; raises Failure if anything has failed."""
    findings = examine(aim(data_dir))
    if as_json:
        output.document([asdict(finding) for finding in findings])
    else:
        rows = [[row.what, row.state.value, row.detail, row.hint] for row in findings]
        output.table(["what", "state", "detail", "hint"], rows)
    failed = [finding.what for finding in findings if finding.state is State.FAIL]
    if failed:
        raise Failure(f"failed: {len(failed)} of {len(findings)} checks", FAILED)


def examine(target: Target) -> list[Finding]:
    """Everything that is found at this deployment."""
    checks = _checks(target)
    together = [check for check in checks if check[0] not in TIMED]
    with ThreadPoolExecutor(THREADS) as threads:
        seen = dict(zip(together, threads.map(lambda check: found(*check), together), strict=True))
    return [
        finding for check in checks for finding in (seen[check] if check in seen else found(*check))
    ]


def _checks(target: Target) -> Sequence[Check]:
    settings, aws = target.settings, AwsClients()
    reach = "check AWS_REGION, credentials and AWS_ENDPOINT_URL_*"
    redis = "start Redis, or set MANGAASSIST_REDIS_URL"
    return [
        ("redis", lambda: doctor_redis.server(settings), redis),
        ("answers", lambda: doctor_redis.published(settings), redis),
        ("outbox", lambda: doctor_redis.outbox(settings), redis),
        ("sqs", lambda: doctor_aws.queues(aws), reach),
        ("dynamodb", lambda: doctor_aws.tables(aws, settings), reach),
        ("kinesis", lambda: doctor_aws.stream(aws, settings), reach),
        ("logs", lambda: doctor_aws.log_group(aws, settings), reach),
        ("feature store", lambda: doctor_aws.feature_groups(aws), reach),
        ("endpoints", lambda: endpoint_commands.findings(aws, settings), reach),
        ("recommender", lambda: doctor_aws.recommender(aws, settings), reach),
        ("catalogue", lambda: doctor_aws.catalogue(aws, settings), doctor_aws.PROVISION),
        *(
            (name, look, f"start it, or look into {where}")
            for name, look, where in doctor_processes.looks(target)
        ),
    ]
