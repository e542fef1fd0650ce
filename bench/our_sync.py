"""What is measured of our feature sync: `python -m bench.our_sync load|sync USERS`.

`load` provisions everything and fills the feature store with so many users. `sync` sweeps everybody
twice, as a worker's task does but without its pauses, and prints one JSON line for each time.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from botocore.awsrequest import AWSPreparedRequest
from botocore.httpsession import URLLib3Session

from adapters.aws_clients import AwsClients
from adapters.connection import connect
from adapters.feature_rows import FeatureRow
from adapters.prometheus_metrics import Metrics
from adapters.provision import provision
from adapters.sagemaker_loading import SageMakerLoading
from adapters.token_bucket import TokenBucket
from config import features, queues, settings
from tasks.sweeping import Sweep

EVENT_TIME = 1_767_225_600.0
LIVED_DAYS = 90
NO_LIMIT = 100_000.0
BLOCK_USERS = 500
PROFILE = {"locale": "ja", "favourite_genres": "action,sports", "preferred_format": "digital"}
ACTIVITY = {
    "views_7d": "3",
    "reads_7d": "2",
    "mean_rating": "4.5",
    "top_genres_30d": "action,romance",
}
_PAGE_MIB = 4096 / 2**20


class _Memory:
    """Bookmarks of one run."""

    def __init__(self) -> None:
        self._places: dict[str, str] = {}

    def get(self, name: str) -> str | None:
        return self._places.get(name)

    def put(self, name: str, place: str) -> None:
        self._places[name] = place

    def remove(self, name: str) -> None:
        self._places.pop(name, None)


def load(users: int) -> None:
    """Fill the feature store."""
    provision(settings.read(), queues.declared())
    table = features.declared()
    loading = SageMakerLoading(AwsClients(), table.groups, TokenBucket(NO_LIMIT))
    for at in range(0, users, BLOCK_USERS):
        failed = loading.write(list(_rows(range(at, min(users, at + BLOCK_USERS)))))
        assert not failed, next(iter(failed.values()))


def _rows(users: range) -> Iterator[FeatureRow]:
    # Within its time to live whenever this is run.
    recent = time.time() - 3600
    for user in users:
        yield FeatureRow(f"user-{user:06}", "user-profile", EVENT_TIME, PROFILE)
        yield FeatureRow(f"user-{user:06}", "user-activity", recent, ACTIVITY)


def sync(users: int) -> None:
    """Sweep twice."""
    calls = _counted()
    quota = float(features.declared().quotas.batch_get_per_second)
    ports = connect(settings.read(), Metrics(), reads_per_second=quota)
    for _ in range(2):
        calls.clear()
        memory: list[float] = []
        records = 0
        began, cpu = time.perf_counter(), time.process_time()
        for step in Sweep(ports, features.declared(), _Memory()).steps():
            assert not step.synced.failed, next(iter(step.synced.failed.values()))
            records += step.synced.written().total()
            memory.append(_rss_mib())
        line = {
            "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time() - cpu,
            "calls": dict(calls),
            "max_rss_mib": max(memory),
            "tenth_rss_mib": max(memory[: max(1, len(memory) // 10)]),
            "read": records,
        }
        print(json.dumps(line), flush=True)
    assert len(ports.users.page(None, users + 1).user_ids) > 0


def _counted() -> Counter[str]:
    """Counts what is sent to AWS, by action, as the baseline does."""
    calls: Counter[str] = Counter()
    send = URLLib3Session.send

    def counted(session: URLLib3Session, request: AWSPreparedRequest) -> object:
        target = request.headers.get("X-Amz-Target", b"")
        named = target.decode() if isinstance(target, bytes) else str(target)
        calls[named or request.url.rpartition("/")[2]] += 1
        calls["items"] += named.endswith(".UpdateItem")
        return send(session, request)

    URLLib3Session.send = counted  # type: ignore[method-assign,assignment]
    return calls


def _rss_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_MIB


if __name__ == "__main__":
    {"load": load, "sync": sync}[sys.argv[1]](int(sys.argv[2]))
