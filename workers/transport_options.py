"""Celery's `broker_transport_options` for our transport, typed; a misspelt one is an error."""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field, fields
from typing import Self

from workers.pausing import PauseRules
from workers.probing import Probe
from workers.transport_observer import SilentObserver, TransportObserver

CLIENT_CONFIG: Mapping[str, object] = {
    "connect_timeout": 2,
    "read_timeout": 4,
    "tcp_keepalive": True,
    # Batches are tried again by their own thread, which knows when to stop.
    "retries": {"mode": "standard", "total_max_attempts": 1},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOptions:
    """One row of `predefined_queues`."""

    name: str
    url: str
    visibility_timeout: int = 30
    """Seconds until a dead worker's message is given to another; living ones prolong it."""
    receive_pause_seconds: float = 0.0
    """Wait after a receive that brought less than asked for: fewer, fuller receives."""
    backoff_base_seconds: float = 1.0
    backoff_cap_seconds: float = 900.0
    max_receives: int = 0
    """What the queue's redrive policy says; 0 where it is not known."""

    def __post_init__(self) -> None:
        """Refuse what SQS would refuse later, message by message."""
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"queue {self.name}: {self.url!r} is not a queue URL")
        if not 1 <= self.visibility_timeout <= 43_200:  # noqa: PLR2004 - SQS's own limit
            raise ValueError(f"queue {self.name}: visibility_timeout must be 1 to 43200 seconds")
        if not 0 <= self.receive_pause_seconds <= 60:  # noqa: PLR2004
            raise ValueError(f"queue {self.name}: receive_pause_seconds must be 0 to 60")
        if not 0 < self.backoff_base_seconds <= self.backoff_cap_seconds <= 43_200:  # noqa: PLR2004
            raise ValueError(f"queue {self.name}: backoff must be 0 < base <= cap <= 43200 seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportOptions:
    """Everything that can be tuned."""

    queues: Mapping[str, QueueOptions]
    region: str | None = None
    wait_time_seconds: int = 5
    """One long poll. With the grace it is how long a silent connection goes unnoticed."""
    receive_grace_seconds: float = 2.0
    prefetch_seconds: float = 0.2
    """Messages received ahead of free slots: as many as the last second's pace uses in this."""
    delete_linger_seconds: float = 0.1
    heartbeat_limit_seconds: float = 39_600.0
    """A task that runs longer is taken for hung and loses its message; SQS ends it at 12 h."""
    known_tasks: Callable[[], Container[str]] | None = None
    """Names that may run; without it, those that the current Celery app has registered."""
    retry_budget: float = 0.1
    """Retries for each first attempt that come without being put off, after `retry_burst`."""
    retry_burst: int = 20
    pausing: PauseRules | None = None
    """When a queue is left alone because what its jobs need is down; never, without it."""
    probe: Probe | None = None
    observer: TransportObserver = field(default_factory=SilentObserver)

    @classmethod
    def read(cls, options: Mapping[str, object]) -> Self:
        """Check the options as Celery hands them over; raises ValueError naming the bad one."""
        given = {name: value for name, value in options.items() if name not in _KOMBUS_OWN}
        rows = given.pop("predefined_queues", None)
        if not isinstance(rows, Mapping) or not rows:
            raise ValueError("predefined_queues must name every queue: none is ever created")
        _refuse_unknown(given, cls, "transport option")
        read = cls(queues={str(name): _row(str(name), row) for name, row in rows.items()}, **given)  # type: ignore[arg-type]
        if not 0 < read.wait_time_seconds <= 20:  # noqa: PLR2004 - SQS's own limit
            raise ValueError("wait_time_seconds must be 1 to 20")
        if read.pausing is not None and read.probe is None:
            raise ValueError("pausing needs a probe, which tells when it is over")
        return read


# Read by kombu's own code, or by Celery; the rest of kombu's options would do nothing here.
_KOMBUS_OWN = frozenset({"client-config", "polling_interval", "sqs_base64_encoding"})


def _row(name: str, row: object) -> QueueOptions:
    if not isinstance(row, Mapping):
        raise TypeError(f"queue {name}: its row is not a mapping")
    _refuse_unknown(row, QueueOptions, f"queue {name}: option")
    return QueueOptions(**{**row, "name": name})


def _refuse_unknown(
    given: Mapping[object, object] | Mapping[str, object], of: type, what: str
) -> None:
    known = {one.name for one in fields(of)} - {"queues"}
    for name in given:
        if name not in known:
            raise ValueError(f"{what} {name!r} is unknown; known are {', '.join(sorted(known))}")
