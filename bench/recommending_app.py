"""The request path with its real adapters, but the catalogue and sessions in memory.

`python -m bench.recommending_app SPOOL`; everything else comes from the environment.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from adapters.connection import connect_path
from adapters.jsonl_catalogue import read_catalogue
from adapters.msgpack_wire import encode_event
from adapters.prometheus_metrics import Metrics
from adapters.redis_hot_users import decode_features
from adapters.redis_sessions import decode_copy
from adapters.spool_writing import SpoolWriter
from bench.classify import SAMPLE
from config import answers, budgets
from config.settings import read
from domain.catalogue import Catalogue
from domain.errors import Transient
from domain.sessions import Session
from serving.main import serve
from serving.questions import QuestionClassifier
from serving.service import MIB, Parts


class SampleCatalogue:
    """The bundled catalogue as a store."""

    def version(self) -> str | None:
        """There is only one."""
        return "sample"

    def load(self) -> Catalogue:
        """Read the file."""
        return read_catalogue(SAMPLE).catalogue

    def publish(self, catalogue: Catalogue) -> bool:
        """Nobody does."""
        raise NotImplementedError


class NoSessions:
    """A table that holds nothing."""

    def get(self, session_id: str, owner: str) -> Session | None:
        """Nothing."""
        return None


def send_nowhere(events: Sequence[bytes]) -> None:
    """There is no SQS."""
    raise Transient(f"there is no SQS for {len(events)} events")


def main() -> None:
    """Serve until a signal."""
    settings, metrics, table = read(), Metrics(), budgets.declared()
    path = connect_path(settings, metrics, table.routes["recommendations"].total_ms / 1000)
    patterns = answers.declared().patterns
    serve(
        Parts(
            settings=settings,
            budgets=table,
            catalogue=SampleCatalogue(),
            sessions=cast("Any", NoSessions()),
            users=path.users,
            features=path.features,
            recommender=path.recommender,
            decode_features=decode_features,
            metrics=metrics,
            encode_event=encode_event,
            decode_session=decode_copy,
            build_classifier=lambda found: QuestionClassifier(found, patterns).classify,
            spool=SpoolWriter(Path(sys.argv[1]), max_bytes=64 * MIB),
            send_events=send_nowhere,
        )
    )


if __name__ == "__main__":
    main()
