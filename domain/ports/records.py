"""Where events are recorded: analytics and audit."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from domain.jobs import AppendAudit, EmitAnalytics


class AnalyticsStream(Protocol):
    """The stream that analytics consumes; at-least-once, each record carries its event id."""

    def put(self, records: Sequence[EmitAnalytics]) -> Mapping[str, str]:
        """Send records; the event ids of those not taken, each with the reason.

        Raises Transient where none was taken.
        """
        ...


TOO_OLD = "too old"
"""Why an audit log takes a line neither now nor later."""


class AuditLog(Protocol):
    """The audit trail; at-least-once, each line carries its event id."""

    def append(self, lines: Sequence[AppendAudit]) -> Mapping[str, str]:
        """Append lines; the event ids of those not taken, each with the reason."""
        ...
