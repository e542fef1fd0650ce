"""What stands behind a recommendation: a users table, the feature store and the model's endpoint.

Each is a process of its own that takes as long as it is told.
"""

import json
import sys
import urllib.request
from collections.abc import Iterable, Mapping, Sequence

import boto3

from bench.processes import HOST, Processes, free_port, listens, wait_for
from bench.recommending_app import SampleCatalogue
from bench.stack import CREDENTIALS
from cli.modelling import describe

GROUPS = ("user-profile", "user-activity")
EVENT_TIME = "2026-01-01T00:00:00Z"

Span = tuple[float, float]
"""The shortest and the longest time, in milliseconds."""


class Backends:
    """The processes, in memory."""

    def __init__(self, processes: Processes, cores: frozenset[int]) -> None:
        model = processes.directory / "model.npz"
        describe(model, SampleCatalogue().load())
        ports = [free_port() for _ in range(3)]
        self._aws, self._table = f"http://{HOST}:{ports[1]}", f"http://{HOST}:{ports[2]}"
        arguments = ["--port", str(ports[1])]
        arguments += ["--endpoint", f"mangaassist-recommender=http://{HOST}:{ports[0]}"]
        for group in GROUPS:
            arguments += ["--feature-group", f"{group}:user_id:event_time"]
        commands: Mapping[str, list[str]] = {
            "model": ["recommender.server", "--port", str(ports[0]), "--model", str(model)],
            "aws": ["emulators", "featurestore", "sagemaker", *arguments],
            "users": ["bench.users_table", str(ports[2])],
        }
        for (name, command), port in zip(commands.items(), ports, strict=True):
            child = processes.start(name, [sys.executable, "-m", *command], cores)
            wait_for(child, lambda port=port: listens(port))  # type: ignore[misc]

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find them."""
        return {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL_DYNAMODB": self._table,
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": self._aws,
            "AWS_ENDPOINT_URL_SAGEMAKER_FEATURESTORE_RUNTIME": self._aws,
        }

    def know(self, users: Iterable[str]) -> None:
        """Give each of these users a record in the feature store."""
        store = boto3.client(
            "sagemaker-featurestore-runtime",
            endpoint_url=self._aws,
            region_name=CREDENTIALS["AWS_REGION"],
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )
        for user in users:
            store.put_record(
                FeatureGroupName=GROUPS[0],
                Record=[
                    {"FeatureName": "user_id", "ValueAsString": user},
                    {"FeatureName": "event_time", "ValueAsString": EVENT_TIME},
                    {"FeatureName": "favourite_genres", "ValueAsString": "Romance, Slice of Life"},
                ],
            )
        store.close()

    def slow_down(self, table: Span, features: Span, model: Span) -> None:
        """Let each take a time evenly between two."""
        put(f"{self._table}/latency", {"low_ms": table[0], "high_ms": table[1]})
        spans = {"featurestore": features, "sagemaker": model}
        put(f"{self._aws}/_emulator/faults", [_rule(*span) for span in spans.items()])

    def feature_store_reads(self) -> int:
        """How often the feature store was asked for records."""
        with urllib.request.urlopen(f"{self._aws}/_emulator/calls", timeout=5) as reply:  # noqa: S310
            counted: dict[str, int] = json.load(reply)["featurestore"]
        return sum(count for action, count in counted.items() if action.endswith("GetRecord"))


def _rule(service: str, span: Span) -> Mapping[str, object]:
    low, high = span
    middle, half = (low + high) / 2, (high - low) / 2
    return {"kind": "latency", "service": service, "ms": middle, "jitter_ms": half}


def put(url: str, document: Mapping[str, object] | Sequence[Mapping[str, object]]) -> None:
    """PUT a document as JSON."""
    body = json.dumps(document).encode()
    request = urllib.request.Request(url, body, method="PUT")  # noqa: S310 - our own address
    with urllib.request.urlopen(request, timeout=5):  # noqa: S310
        pass
