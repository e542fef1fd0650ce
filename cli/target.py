"""What an operator's command is about: the embedded stack of a data directory, or the deployment
that the environment names.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cli import endpoints
from cli.data_dir import DEFAULT, DataDir
from cli.endpoints import AUDIENCE, ISSUER, Endpoints
from cli.failures import Failure
from config import settings as settings_module
from config.settings import PREFIX, Settings

REGIONS = (
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_CONFIG_FILE",
)
"""Where the SDK may learn a region from, beside its file in the home directory."""
START = "start one with `make up`, or name its directory with --data-dir"


@dataclass(frozen=True, slots=True)
class Stack:
    """A running embedded stack."""

    directory: DataDir
    endpoints: Endpoints


@dataclass(frozen=True, slots=True)
class Target:
    """The settings to work with, and the embedded stack if they are those of one."""

    settings: Settings
    stack: Stack | None

    @property
    def http(self) -> str:
        """Where the request path is."""
        if self.stack is not None:
            return self.stack.endpoints.http
        return f"http://{self.settings.host}:{self.settings.port}"


def aim(data_dir: Path | None) -> Target:
    """The target; sets this process's environment, which the AWS SDK reads. Raises Failure where
    no stack runs in `data_dir`, or none anywhere and the environment names no deployment,
    ConfigError for settings that do not fit."""
    stack = find(data_dir)
    if stack is not None:
        mine = environment(stack, os.environ)
        os.environ.clear()
        os.environ.update(mine)
    elif not names_deployment(os.environ):
        raise Failure(f"no stack is running in {DataDir(DEFAULT).path}; {START}")
    return Target(settings_module.read(), stack)


def find(data_dir: Path | None) -> Stack | None:
    """The stack that runs in this directory; without one, the stack in the default directory,
    unless there is none or the environment has settings."""
    if data_dir is None and any(name.startswith(PREFIX) for name in os.environ):
        return None
    directory = DataDir(data_dir or DEFAULT)
    if directory.in_use() and directory.endpoints.exists():
        return Stack(directory, endpoints.read(directory.endpoints))
    if data_dir is None:
        return None
    raise Failure(f"no stack is running in {directory.path}; {START}")


def names_deployment(variables: Mapping[str, str]) -> bool:
    """Whether this environment says anything of where Redis or AWS is."""
    own = any(name.startswith((PREFIX, "AWS_ENDPOINT_URL")) for name in variables)
    home = Path(variables.get("HOME", "~")).expanduser()
    return own or any(map(variables.get, REGIONS)) or (home / ".aws" / "config").exists()


def environment(stack: Stack, outer: Mapping[str, str]) -> dict[str, str]:
    """The environment in which everything means this stack."""
    found = stack.endpoints
    http = urlsplit(found.http)
    return {
        **endpoints.without_aws(outer),
        **endpoints.aws_variables(found.aws, otherwise=found.aws["dynamodb"]),
        "MANGAASSIST_REDIS_URL": found.redis,
        "MANGAASSIST_HOST": str(http.hostname),
        "MANGAASSIST_PORT": str(http.port),
        "MANGAASSIST_TOKEN_ISSUER": ISSUER,
        "MANGAASSIST_TOKEN_AUDIENCE": AUDIENCE,
        "MANGAASSIST_JWKS_URL": stack.directory.jwks.as_uri(),
    }
