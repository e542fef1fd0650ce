"""What the messages of late were, by their ids: one id may stand for one message of a session only.

Known to this process alone, and for a while; the id of an event is of the message itself, so that
what nobody notices here is still an event of its own, and no turn is lost (`domain/event_ids.py`).
"""

from collections import OrderedDict

from serving.problems import Misfit, Problem, not_fitting

MAX_KNOWN = 10_000
"""3 MB of usual ids, 8 MB of the longest that are taken."""


class KnownMessages:
    """The event of each message that came with an id, the latest ones."""

    def __init__(self, most: int = MAX_KNOWN) -> None:
        self._most = most
        self._events: OrderedDict[str, str] = OrderedDict()

    def require_same(self, owner: str, session_id: str, message_id: str, event_id: str) -> None:
        """Raises Problem where the id came with another message before; else it is known now."""
        known = self._events.setdefault(f"{owner}\x1f{session_id}\x1f{message_id}", event_id)
        if known != event_id:
            raise _used_before()
        if len(self._events) > self._most:
            self._events.popitem(last=False)


def _used_before() -> Problem:
    detail = "message_id was sent with another message in this session: give each its own"
    return not_fitting(Misfit("#/message_id", detail))
