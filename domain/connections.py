"""A client's connection that somebody else holds, and what has to be known of it to answer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HeldConnection:
    """One connection; `user` is None until it is known who speaks.

    `expires_at` is when the user's token does, in epoch seconds; 0 where there is none.
    """

    session_id: str
    user: str | None = None
    expires_at: float = 0.0
