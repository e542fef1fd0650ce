"""What a serving process is given: everything that other rooms make."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from adapters.spool_writing import SpoolWriter
from config.budgets import Budgets
from config.settings import Settings
from domain.catalogue import Catalogue
from domain.events import Event
from domain.features import UserFeatures
from domain.ports import CatalogueStore, FeatureSource, Recommender, Sessions, UserCache
from domain.sessions import Session
from domain.tracing import Traces
from serving.chat import Classify
from serving.gateway_line import Posts
from serving.model_path import ModelParts
from serving.overflow import SendEvents
from serving.registry import Registry
from serving.warming import WarmUp

MIB = 1024 * 1024


class Exposed(Registry, Protocol):
    """A registry that can show its metrics."""

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of one process."""

    settings: Settings
    budgets: Budgets
    catalogue: CatalogueStore
    sessions: Sessions
    users: UserCache
    features: FeatureSource
    recommender: Recommender
    decode_features: Callable[[bytes, str], UserFeatures]
    metrics: Exposed
    encode_event: Callable[[Event], bytes]
    decode_session: Callable[[bytes], Session]
    build_classifier: Callable[[Catalogue], Classify]
    spool: SpoolWriter
    send_events: SendEvents
    warm_ups: Mapping[str, WarmUp] = field(default_factory=dict)
    """What else is to be kept warm, by the name of the dependency."""
    posts: Posts | None = None
    """The way to connections that API Gateway holds, where there are such."""
    model: ModelParts | None = None
    """What answers questions that no precomputed answer fits."""
    traces: Traces | None = None
    """Where spans go, if there is anywhere."""
