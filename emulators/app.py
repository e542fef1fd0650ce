"""The emulators of one process, put together: services, faults, one port. Composition root."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from emulators.bedrock_service import BedrockService
from emulators.dispatch import Dispatcher
from emulators.faults import Faults
from emulators.featurestore_service import FeatureStoreService
from emulators.featurestore_state import Group
from emulators.http_server import HttpServer
from emulators.journal import Journal
from emulators.opensearch_service import OpenSearchService
from emulators.sagemaker_service import SageMakerService
from emulators.sagemakerstream_service import SageMakerStreamService
from emulators.sqs_service import SqsService

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from emulators.wire import Clock, Service

DEFAULT_ACCOUNT = "000000000000"
DEFAULT_REGION = "ap-northeast-1"


@dataclass(frozen=True, slots=True)
class EmulatorSettings:
    """`feature_groups` are declarations NAME:record_id_name:event_time_name[:storage_type],
    `endpoints` are NAME=URL of the container behind it."""

    services: Sequence[str] = ("sqs",)
    host: str = "127.0.0.1"
    port: int = 0
    journal_dir: Path | None = None
    account: str = DEFAULT_ACCOUNT
    region: str = DEFAULT_REGION
    feature_groups: Sequence[str] = ()
    endpoints: Sequence[str] = ()
    clock: Clock = time.time
    seed: int | None = None

    def journal(self, name: str) -> Journal | None:
        return Journal(self.journal_dir / f"{name}.journal") if self.journal_dir else None


def _sqs(settings: EmulatorSettings, rng: random.Random) -> Service:
    return SqsService(
        account=settings.account,
        region=settings.region,
        clock=settings.clock,
        journal=settings.journal("sqs"),
        rng=rng,
    )


def _featurestore(settings: EmulatorSettings, rng: random.Random) -> Service:
    del rng
    return FeatureStoreService(
        account=settings.account,
        region=settings.region,
        clock=settings.clock,
        journal=settings.journal("featurestore"),
        groups=[Group.declared(text) for text in settings.feature_groups],
    )


def _sagemaker(settings: EmulatorSettings, rng: random.Random) -> Service:
    del rng
    return SageMakerService(settings.endpoints)


# a new service is one more line here, and a module that satisfies wire.Service
SERVICES: dict[str, Callable[[EmulatorSettings, random.Random], Service]] = {
    "sqs": _sqs,
    "featurestore": _featurestore,
    "sagemaker": _sagemaker,
    "bedrock": lambda _settings, _rng: BedrockService(),
    "opensearch": lambda _settings, _rng: OpenSearchService(),
    "sagemaker-stream": lambda _settings, _rng: SageMakerStreamService(),
}


class EmulatorApp:
    def __init__(self, settings: EmulatorSettings) -> None:
        unknown = [name for name in settings.services if name not in SERVICES]
        if unknown:
            raise ValueError(f"unknown service {unknown[0]!r}; known: {', '.join(SERVICES)}")
        rng = random.Random(settings.seed)
        self._settings = settings
        services = [SERVICES[name](settings, rng) for name in dict.fromkeys(settings.services)]
        self.dispatcher = Dispatcher(services, Faults(rng))
        self._server = HttpServer(self.dispatcher.handle)

    async def start(self) -> int:
        return await self._server.start(self._settings.host, self._settings.port)

    async def close(self) -> None:
        await self._server.close()
        self.dispatcher.close()
