"""The settings of a deployment: the only reader of the environment.

AWS regions, endpoints and credentials are the SDK's own variables (`AWS_REGION`,
`AWS_ENDPOINT_URL_…`), so that no code asks whether it runs locally.
"""

import os
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from config.errors import ConfigError

PREFIX = "MANGAASSIST_"
SECRETS = frozenset({"gateway_key", "pseudonym_key"})
DAY_SECONDS = 86_400
MODEL = "^((bedrock|sagemaker):.+)?$"
"""A model or inference profile of Bedrock, or an endpoint of SageMaker."""

COLLECTOR = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""OpenTelemetry's own variables for where spans go, which its exporter reads."""

Port = Annotated[int, Meta(ge=0, le=65_535)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One deployment. Each field is read from `MANGAASSIST_<FIELD>`."""

    redis_url: Annotated[
        str, Meta(description="Redis or Valkey 7 or newer, policy volatile-*", min_length=1)
    ] = "redis://127.0.0.1:6379/0"
    host: Annotated[str, Meta(description="Address that the request path listens on")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="Port of the request path")] = 8080
    metrics_host: Annotated[str, Meta(description="Address that /metrics listens on")] = "127.0.0.1"
    metrics_port: Annotated[
        Port, Meta(description="Port of /metrics; 0 takes the declared one of the process")
    ] = 0
    token_issuer: Annotated[str, Meta(description="The iss that bearer tokens must have")] = ""
    token_audience: Annotated[str, Meta(description="The aud that bearer tokens must have")] = ""
    jwks_url: Annotated[
        str, Meta(description="Where the keys of bearer tokens are; file:, http: or https:")
    ] = ""
    allowed_origins: Annotated[
        str, Meta(description="Origins of browsers that may call, separated by commas")
    ] = ""
    max_websockets: Annotated[
        int, Meta(description="WebSocket connections that a process holds at once", ge=1)
    ] = 5000
    gateway_key: Annotated[
        str,
        Meta(description="Secret that API Gateway's integrations send; empty: no such routes"),
    ] = ""
    today: Annotated[
        date | None, Meta(description="The store's today, for new releases; default: the date")
    ] = None
    timezone: Annotated[str, Meta(description="Where the store's day begins")] = "Asia/Tokyo"
    page: Annotated[bool, Meta(description="Whether the chat page is served at /")] = False
    outbox_shards: Annotated[
        int, Meta(description="Streams that the outbox is spread over", ge=1, le=64)
    ] = 1
    analytics_stream: Annotated[str, Meta(description="Kinesis stream")] = "mangaassist-analytics"
    audit_log_group: Annotated[str, Meta(description="CloudWatch log group")] = "/mangaassist/audit"
    sessions_table: Annotated[str, Meta(description="DynamoDB table")] = "mangaassist-sessions"
    users_table: Annotated[str, Meta(description="DynamoDB table")] = "mangaassist-users"
    recommender_endpoint: Annotated[
        str, Meta(description="SageMaker endpoint that recommends titles")
    ] = "mangaassist-recommender"
    parked_table: Annotated[str, Meta(description="DynamoDB table")] = "mangaassist-parked"
    catalogue_table: Annotated[str, Meta(description="DynamoDB table")] = "mangaassist-catalogue"
    catalogue_poll_seconds: Annotated[
        float, Meta(description="How often a process looks for a newer catalogue", gt=0)
    ] = 15.0
    opensearch_url: Annotated[
        str, Meta(description="OpenSearch domain or collection; empty: an index in the process")
    ] = ""
    opensearch_alias: Annotated[
        str, Meta(description="Alias of the index of titles", pattern="^[a-z][a-z0-9-]*$")
    ] = "mangaassist-titles"
    small_model: Annotated[
        str, Meta(description="Chat model of simple questions; empty: models.toml's", pattern=MODEL)
    ] = ""
    large_model: Annotated[
        str, Meta(description="Chat model of hard questions; empty: models.toml's", pattern=MODEL)
    ] = ""
    session_days: Annotated[
        int, Meta(description="Days after its last turn that a session is kept", ge=1)
    ] = 30
    pseudonym_key: Annotated[
        str,
        Meta(
            description="Secret that hides user ids in analytics and audit (empty: left out) and"
            " seals cached responses (empty: none is cached)"
        ),
    ] = ""
    log_level: Annotated[str, Meta(description="Level of the log", pattern="^[A-Z]+$")] = "INFO"
    spool_dir: Annotated[
        Path | None,
        Meta(description="Directory of the spool of serving and its relay; default: in state_dir"),
    ] = None
    spool_max_mb: Annotated[
        int, Meta(description="Disk that the spool may fill, in MiB", ge=1, le=1_048_576)
    ] = 512
    overflow_max_mb: Annotated[
        int, Meta(description="Memory for events while no Redis, disk or SQS takes them", ge=1)
    ] = 64
    failpoint: Annotated[
        str, Meta(description="For tests alone: where this process is to die, as name:number")
    ] = ""
    state_dir: Annotated[
        Path | None, Meta(description="Directory for a process's own files, such as beat's")
    ] = None

    @property
    def session_seconds(self) -> int:
        """`session_days` in seconds."""
        return self.session_days * DAY_SECONDS

    @property
    def home(self) -> Path:
        """A process's own files: in `state_dir`, or with the user's state, which outlives a reboot.

        Raises ConfigError for a user without a home directory.
        """
        return self.state_dir or _user_state() / "mangaassist"

    @property
    def spool(self) -> Path:
        """Where the spool is: as set, or at `home`."""
        return self.spool_dir or self.home / "spool"

    def store_day(self, now: float) -> date:
        """What day it is in the store at a time in epoch seconds, unless a setting fixes it."""
        return self.today or datetime.fromtimestamp(now, ZoneInfo(self.timezone)).date()

    def redacted(self) -> dict[str, str]:
        """Every field as text, without secrets and what a URL says before its @."""
        values: dict[str, Any] = msgspec.structs.asdict(self)
        return {
            name: "***" if value and name in SECRETS else _without_credentials(str(value))
            for name, value in values.items()
        }


def read(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings in these variables (default: the process's environment).

    Raises ConfigError for an unknown `MANGAASSIST_…` variable or a value that does not fit.
    """
    variables = os.environ if environment is None else environment
    ours = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in variables.items()
        if name.startswith(PREFIX)
    }
    known = get_type_hints(Settings)
    for name in ours:
        if name not in known:
            raise ConfigError(f"{PREFIX}{name.upper()}: there is no such setting")
    try:
        settings = msgspec.convert(ours, Settings, strict=False, dec_hook=_decode)
        ZoneInfo(settings.timezone)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{PREFIX}…: {error}") from error
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigError(f"{PREFIX}TIMEZONE: there is no such time zone") from error
    return settings


def names_a_collector(environment: Mapping[str, str] | None = None) -> bool:
    """Whether there is anybody to send spans to."""
    variables = os.environ if environment is None else environment
    is_disabled = variables.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return not is_disabled and any(variables.get(name) for name in COLLECTOR)


def _user_state() -> Path:
    """Where the XDG base directory specification has programs keep their state."""
    named = Path(os.environ.get("XDG_STATE_HOME", ""))
    if named.is_absolute():
        return named
    try:
        return Path.home() / ".local" / "state"
    except RuntimeError as error:
        raise ConfigError(f"{PREFIX}STATE_DIR is needed: there is no home directory") from error


def _decode(wanted: type, value: object) -> object:
    if wanted is Path:
        return Path(str(value))
    raise NotImplementedError(wanted)


def _without_credentials(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if not separator or "@" not in rest:
        return text
    return f"{scheme}://***@{rest.rpartition('@')[2]}"
