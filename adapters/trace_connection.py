"""Where a process's spans go: to the collector that OpenTelemetry's variables name, or nowhere.

Without a collector nothing is made, and the SDK is not imported here.
"""

from config import tracing
from config.settings import names_a_collector
from domain.tracing import Traces


def connect_traces(service: str) -> Traces | None:
    """The traces of this process, after the fork; None where there is no collector."""
    if not names_a_collector():
        return None
    from adapters.otel_traces import over_otlp  # noqa: PLC0415 - see above

    return over_otlp(service, tracing.declared().export)
