"""A recommendation as a Lambda function often makes it: three calls, one after the other.

`python -m bench.baselines.feature_chain VARIANT` reads user ids, one a line, and prints for each
how many seconds it took. Variants: `sequence` with new clients in every call of the handler,
`parallel` with both reads at once, and `kept` as parallel, but with clients that are made once.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3

ENDPOINT = "mangaassist-recommender"
SERVICES = ("dynamodb", "sagemaker-featurestore-runtime", "sagemaker-runtime")


def clients() -> list[Any]:
    """A client of each service."""
    return [boto3.client(name) for name in SERVICES]  # type: ignore[call-overload]


def handle(user: str, made: list[Any], *, at_once: bool) -> None:
    """Read the user and the features, ask the model."""
    table, features, runtime = made

    def profile() -> Any:
        return table.get_item(TableName="mangaassist-users", Key={"user_id": {"S": user}})

    def record() -> Any:
        return features.get_record(
            FeatureGroupName="user-profile", RecordIdentifierValueAsString=user
        )

    if at_once:
        with ThreadPoolExecutor() as threads:
            read = threads.submit(profile), threads.submit(record)
            found = [one.result() for one in read][1]
    else:
        profile()
        found = record()
    values = {it["FeatureName"]: it["ValueAsString"] for it in found.get("Record", ())}
    body = json.dumps({"recent": [], "features": {"user-profile": values}, "limit": 10})
    reply = runtime.invoke_endpoint(
        EndpointName=ENDPOINT, ContentType="application/json", Body=body
    )
    if not json.loads(reply["Body"].read())["items"]:
        raise RuntimeError(f"nothing is recommended to {user}")


def main() -> None:
    """Handle every user of the standard input."""
    variant = sys.argv[1]
    kept = clients() if variant == "kept" else None
    for line in sys.stdin:
        started = time.perf_counter()
        handle(line.strip(), kept or clients(), at_once=variant != "sequence")
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
