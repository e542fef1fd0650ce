"""Where conversations are kept, and who sums them up."""

from collections.abc import Sequence
from typing import Protocol

from domain.ports.answers import Given
from domain.sessions import Session, Turn


class Sessions(Protocol):
    """The conversations, durable.

    Every change gives a session a greater `revision` than it ever had, also after the store lost
    changes, as far as clocks are right.
    """

    def add_turns(self, session_id: str, owner: str, turns: Sequence[Turn]) -> Session:
        """Add turns in one write, by event id; the session as it is after that.

        Raises OwnedByAnother where the session belongs to another user.
        """
        ...

    def get(self, session_id: str, owner: str) -> Session | None:
        """The session, or None where there is none of that owner."""
        ...

    def summarise(self, session: Session) -> Session | None:
        """Keep the session's summary, unless one that covers as much is there.

        Not either where an answer was taken back meanwhile, which it may speak of. The session
        after that, None where it was not kept.
        """
        ...

    def retract(self, given: Given, note: str) -> Session | None:
        """Put the note in place of the answer; the session after that.

        None where the turn is not there, or has another answer. A turn that was given the answer
        does not get it back, whatever comes later. Done again, it changes nothing.
        """
        ...

    def reword(self, session: Session) -> Session | None:
        """Replace the session's summary by another one of the same turns; the session after that.

        None, and nothing done, where one of other turns is there or another answer was taken back.
        """
        ...


class Summarise(Protocol):
    """Says in few words what turns were about. Raises Transient where it takes a model to."""

    def __call__(self, earlier: str, turns: Sequence[Turn]) -> str:
        """The summary so far with these turns, oldest first, at most 1,200 characters."""
        ...


class SessionCopies(Protocol):
    """What the request path knows of sessions; losing a copy costs one read."""

    def put(self, sessions: Sequence[Session]) -> None:
        """Replace copies of older revisions, and renew whose the sessions are."""
        ...

    def restore_owner(self, session_id: str, owner: str) -> None:
        """Make the request path take the session for this owner's, whose it is in `Sessions`."""
        ...
