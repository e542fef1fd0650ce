"""What a rig runs: the processes of `mangaassist up`, planned by its own code, led to proxies."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cli import tokens
from cli.catalogue_files import SAMPLE
from cli.children import Spec
from cli.data_dir import DataDir
from cli.embedded import REDIS_VARIABLE, Stack, plan, python
from cli.ports import HOST, reserve_any
from config import queues
from tests.faults.nemesis import ROOT

ENTRY = "tests.faults.entry"
SEARCH_VARIABLE = "MANGAASSIST_OPENSEARCH_URL"
SERVICES = {
    "sqs": "SQS",
    "dynamodb": "DYNAMODB",
    "kinesis": "KINESIS",
    "logs": "CLOUDWATCH_LOGS",
    "features": "SAGEMAKER_FEATURESTORE_RUNTIME",
    "models": "BEDROCK_RUNTIME",
}
"""What each is called in the SDK's variables."""
OF_OUR_EMULATORS = ("sqs", "features", "models")
"""Those that are no service of moto."""


def stack(directory: DataDir) -> Stack:
    """A stack on free ports."""
    outer = {k: v for k, v in os.environ.items() if not k.startswith("MANGAASSIST_")}
    outer["PYTHONPATH"] = str(ROOT)
    key = tokens.pseudonym_key(directory)
    groups = list(queues.declared().groups)
    return plan(directory, reserve_any(), groups, outer, pseudonym_key=key)


def proxied(planned: Stack, ports: Mapping[str, int]) -> Stack:
    """The same, its processes led to these ports and begun by the kit's entry."""
    led = {REDIS_VARIABLE: f"redis://{HOST}:{ports['redis']}/0"}
    for name, variable in SERVICES.items():
        led[f"AWS_ENDPOINT_URL_{variable}"] = f"http://{HOST}:{ports[name]}"
    of_the_interpreter = len(python(""))
    processes = [
        replace(
            spec,
            environment={**spec.environment, **led},
            command=[*python(ENTRY), *spec.command[of_the_interpreter - 1 :]],
        )
        for spec in planned.processes
    ]
    return replace(planned, processes=processes)


def search(planned: Stack, port: int) -> Spec:
    """An OpenSearch of one's own."""
    return Spec(
        name="search",
        command=python("emulators", "opensearch", "--port", str(port)),
        environment=planned.environment,
        port=port,
    )


def indexing(planned: Stack, url: str) -> Spec:
    """What fills it, past the proxies."""
    return Spec(
        name="indexing",
        command=python(ENTRY, "cli.main", "index"),
        environment={**planned.environment, SEARCH_VARIABLE: url},
        port=0,
    )


def publishing(planned: Stack, port: int, directory: Path) -> Spec:
    """What publishes the files of a directory, as an identity provider does its keys."""
    return Spec(
        name="keys",
        command=python("http.server", str(port), "--bind", HOST, "--directory", str(directory)),
        environment=planned.environment,
        port=port,
    )


def serving_with(planned: Stack, settings: Mapping[str, str]) -> Stack:
    """The same, its request path with these settings."""
    processes = [
        replace(spec, environment={**spec.environment, **settings})
        if spec.name == "serving"
        else spec
        for spec in planned.processes
    ]
    return replace(planned, processes=processes)


def provisioning(planned: Stack) -> Spec:
    """What makes the AWS resources, past the proxies."""
    return Spec(
        name="provisioning",
        command=python(ENTRY, "cli.provisioning"),
        environment=planned.environment,
        port=0,
    )


def priming(planned: Stack) -> Spec:
    """What fills an empty stack, past the proxies."""
    directory = planned.directory
    files = map(str, (directory.catalogue, directory.model, SAMPLE))
    return Spec(
        name="priming",
        command=python(ENTRY, "cli.priming", *files),
        environment=planned.environment,
        port=0,
    )
