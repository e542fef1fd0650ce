"""Feast's materialization into DynamoDB: `python feast_materialize.py DIRECTORY USERS ENDPOINT`.

Runs in a Python of its own that has Feast. Writes two feature views to Parquet, materializes them
twice, and prints one JSON line for each time. Imports nothing of ours.
"""

import json
import resource
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.httpsession
import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64, Int64, String

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
REGION = "ap-northeast-1"

calls: Counter[str] = Counter()


def count_calls() -> None:
    """Count what is sent to DynamoDB, by action."""
    send = botocore.httpsession.URLLib3Session.send

    def counted(session: botocore.httpsession.URLLib3Session, request: Any) -> Any:
        target = request.headers.get("X-Amz-Target", b"")
        calls[target.decode() if isinstance(target, bytes) else target] += 1
        tables = json.loads(request.body).get("RequestItems", {})
        calls["items"] += sum(len(puts) for puts in tables.values())
        return send(session, request)

    botocore.httpsession.URLLib3Session.send = counted  # type: ignore[method-assign,assignment]


def views(directory: Path, users: int) -> list[Any]:
    """The two views, with their data in files."""
    ids = [f"user-{at:06}" for at in range(users)]
    entity = Entity(name="user", join_keys=["user_id"], value_type=ValueType.STRING)
    rows: dict[str, tuple[dict[str, Any], list[Field]]] = {
        "user_profile": (
            {"locale": "ja", "favourite_genres": "action,sports", "preferred_format": "digital"},
            [
                Field(name=n, dtype=String)
                for n in ("locale", "favourite_genres", "preferred_format")
            ],
        ),
        "user_activity": (
            {"views_7d": 3, "reads_7d": 2, "mean_rating": 4.5, "top_genres_30d": "action,romance"},
            [
                Field(name="views_7d", dtype=Int64),
                Field(name="reads_7d", dtype=Int64),
                Field(name="mean_rating", dtype=Float64),
                Field(name="top_genres_30d", dtype=String),
            ],
        ),
    }
    made: list[Any] = [entity]
    for name, (values, schema) in rows.items():
        data: dict[str, Any] = {"user_id": ids, "event_timestamp": BEGAN, **values}
        path = directory / f"{name}.parquet"
        pd.DataFrame(data).to_parquet(path)
        source = FileSource(path=str(path), timestamp_field="event_timestamp")
        made.append(
            FeatureView(
                name=name, entities=[entity], schema=schema, source=source, ttl=timedelta(days=3650)
            )
        )
    return made


def main() -> None:
    """Materialize twice."""
    directory, users, endpoint = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    count_calls()
    store = FeatureStore(
        config=RepoConfig(
            project="bench",
            provider="local",
            registry=str(directory / "registry.db"),
            offline_store={"type": "file"},
            online_store={"type": "dynamodb", "region": REGION, "endpoint_url": endpoint},
            entity_key_serialization_version=3,
        )
    )
    store.apply(views(directory, users))
    for _ in range(2):
        calls.clear()
        began, cpu = time.perf_counter(), time.process_time()
        store.materialize(BEGAN - timedelta(days=1), BEGAN + timedelta(days=1))
        print(
            json.dumps(
                {
                    "seconds": time.perf_counter() - began,
                    "cpu_seconds": time.process_time() - cpu,
                    "calls": dict(calls),
                    "max_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
