"""The errors that cross a layer, by what the caller may do about them.

MangaAssistError
├── Transient       the same call may succeed later: throttling, time-outs, 5xx, refused
├── Permanent       the same call can never succeed: park it, with the reason
│   └── Malformed   bytes that are not what they claim to be
├── PartlyFailed    some jobs of a pack were applied, the named ones were not
└── Refused         the caller may not do this: an answer, not a fault
    └── OwnedByAnother  the session is another user's
"""

from collections.abc import Mapping


class MangaAssistError(Exception):
    """The root of every error that this project raises on purpose."""


class Transient(MangaAssistError):  # noqa: N818 - read as an adjective at every raise
    """A dependency failed in a way that passes: try the same thing again later.

    `dependency` names what did not answer, and is empty where something else has to pass.
    """

    def __init__(self, message: str, *, dependency: str = "") -> None:
        super().__init__(message)
        self.dependency = dependency


class Permanent(MangaAssistError):  # noqa: N818
    """Trying again cannot help: the input itself is at fault."""


class Malformed(Permanent):
    """Bytes that cannot be decoded into what they claim to be."""


class Refused(MangaAssistError):  # noqa: N818
    """The caller may not do this, for example write to another user's session."""


class OwnedByAnother(Refused):
    """The session is another user's; `owner` says whose, and no message does."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        super().__init__("the session belongs to another user")


class PartlyFailed(MangaAssistError):  # noqa: N818
    """Some jobs of a pack failed while the others were applied.

    `reasons` maps the event id of each failed job to what went wrong. The pack is redelivered as
    a whole, which the idempotent effects of the applied ones allow.
    """

    def __init__(self, reasons: Mapping[str, MangaAssistError]) -> None:
        self.reasons = dict(reasons)
        first = next(iter(self.reasons.values()), None)
        super().__init__(f"{len(self.reasons)} jobs failed, the first with: {first}")

    @property
    def permanent(self) -> bool:
        """Whether no failed job could ever succeed."""
        return all(isinstance(reason, Permanent) for reason in self.reasons.values())

    @property
    def dependency(self) -> str:
        """The one dependency that every transient reason names; empty where there is no such."""
        passing = [one for one in self.reasons.values() if isinstance(one, Transient)]
        named = {one.dependency for one in passing}
        return named.pop() if len(named) == 1 else ""
