"""Clients of emulated services, as of whoever uses boto3 and tries nothing twice."""

from typing import Any

import boto3
from botocore.config import Config

REGION = "ap-northeast-1"


def client_of(service: str, url: str, **config: Any) -> Any:
    """A client of the service that an emulator at this address has."""
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106
        config=Config(retries={"total_max_attempts": 1}, **config),
    )
