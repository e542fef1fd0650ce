"""What runs where: `endpoints.json` of an embedded stack, and the environment that it means.

Whoever has this environment reaches the stack and nothing else: no other AWS account, no proxy.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cli.failures import Failure

REGION = "ap-northeast-1"
ISSUER = "mangaassist-embedded"
AUDIENCE = "mangaassist"

Pid = int | list[int]

_CREDENTIALS = {
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "embedded",
    "AWS_SECRET_ACCESS_KEY": "embedded",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
_NAMES = {"logs": "CLOUDWATCH_LOGS"}
"""What the SDK's variables call a service, where that is not its name in `endpoints.json`."""
_PROXIES = {"http_proxy", "https_proxy", "all_proxy"}


@dataclass(frozen=True, slots=True)
class Endpoints:
    """One moment of a running stack."""

    http: str
    redis: str
    aws: Mapping[str, str]
    metrics: Mapping[str, str] = field(default_factory=dict)
    pids: Mapping[str, Pid] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Replace the file in one step."""
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".endpoints-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(asdict(self), file, indent=2)
            file.write("\n")
        Path(name).replace(path)


def read(path: Path) -> Endpoints:
    """What the file says; raises Failure where it can't be read."""
    try:
        found = json.loads(path.read_text("utf-8"))
        return Endpoints(
            found["http"], found["redis"], found["aws"], found["metrics"], found["pids"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure(f"{path} cannot be read: {error}") from error


def aws_variables(urls: Mapping[str, str], otherwise: str) -> dict[str, str]:
    """The SDK's variables for these services, and one for every service that is not named."""
    named = {endpoint_variable(service): url for service, url in urls.items()}
    return {**_CREDENTIALS, "AWS_ENDPOINT_URL": otherwise, **named}


def endpoint_variable(service: str) -> str:
    """The SDK's variable for a service by its name in `endpoints.json`."""
    name = _NAMES.get(service, service.upper().replace("-", "_"))
    return f"AWS_ENDPOINT_URL_{name}"


def without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what leads to somebody's AWS account or through a proxy."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith("AWS_") and name.lower() not in _PROXIES
    }
