"""POST /v1/events: what customers did with titles, kept before it is confirmed, one by one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from adapters.redis_multiplexed import Late
from domain.errors import Transient
from domain.events import InteractionRecorded, InteractionType
from serving.exchange import NOT_JSON, Exchange, decoded, new_id
from serving.misfits import why_not
from serving.models import (
    Interaction,
    InteractionsReply,
    RawInteractions,
    RejectedInteraction,
)
from serving.noting import NotingDesk, NotingRequest
from serving.outbox import Stock
from serving.tokens import ANYONES_EVENTS, Caller

ROUTE = "events"
BODY_LIMIT = 512 * 1024
"""500 events whose every field is as long as it may be are 380 KB."""
MAX_AHEAD_SECONDS = 300
MAX_AGE_SECONDS = 30 * 86_400
SEND_AGAIN = "not stored, send again"

_DECODER = msgspec.json.Decoder(RawInteractions)
_ONE = msgspec.json.Decoder(Interaction)


@dataclass(frozen=True, slots=True)
class _Sorted:
    """The interactions of a request: the good ones with their places, and the wrong ones."""

    places: Sequence[Sequence[int]]
    events: Sequence[tuple[str, bytes]]
    rejected: Sequence[RejectedInteraction]


class InteractionsRoute:
    """The hot route of interactions."""

    name = ROUTE
    method = b"POST"
    body_limit = BODY_LIMIT

    def __init__(self, desk: NotingDesk, stock: Stock) -> None:
        self._desk = desk
        self._stock = stock

    def handle(self, exchange: Exchange) -> None:
        """Write the interactions of this request; raises Problem."""
        request = NotingRequest(self._desk, ROUTE, exchange)
        caller = request.caller(self._desk.gate.known_caller)
        sorted_out = self._sort(decode(exchange.body), caller, request.trace)

        def finish(outcomes: Sequence[Transient | None]) -> None:
            request.respond(lambda: (new_id(), _reply(sorted_out, outcomes)))

        def written(outcomes: Sequence[Transient | None]) -> None:
            if any(isinstance(outcome, Late) for outcome in outcomes):
                request.late()
            pairs = list(zip(sorted_out.events, outcomes, strict=True))
            taken = [event for (_, event), outcome in pairs if outcome is None]
            left = [event for (_, event), outcome in pairs if outcome is not None]
            if left:
                keep = partial(self._keep, left, outcomes, finish)
            else:
                keep = partial(finish, outcomes)
            if taken:
                self._desk.sink.copy(taken, keep)
            else:
                keep()

        if sorted_out.events:
            request.asking()
            self._stock.append(sorted_out.events, self._desk.redis_seconds, written)
        else:
            finish(())

    def _keep(
        self,
        left: Sequence[bytes],
        outcomes: Sequence[Transient | None],
        finish: Callable[[Sequence[Transient | None]], None],
    ) -> None:
        self._desk.sink.keep(
            InteractionRecorded.type,
            left,
            lambda is_kept: finish([None] * len(outcomes) if is_kept else outcomes),
            is_audited=InteractionRecorded.is_audited,
        )

    def _sort(self, raw: Sequence[msgspec.Raw], caller: Caller, trace: str | None) -> _Sorted:
        rejected: list[RejectedInteraction] = []
        good: dict[str, tuple[Interaction, list[int]]] = {}
        now = self._desk.clock()
        for index, one in enumerate(raw):
            try:
                interaction = _ONE.decode(one)
            except NOT_JSON as error:
                why = why_not(error, Interaction)
                rejected.append(RejectedInteraction(index=index, reason=why))
                continue
            reason = fault(interaction, caller, now)
            if reason is not None:
                rejected.append(RejectedInteraction(index=index, reason=reason))
            else:
                good.setdefault(interaction.event_id, (interaction, []))[1].append(index)
        return _Sorted(
            [places for _, places in good.values()],
            [(one.user_id, self._event(one, trace)) for one, _ in good.values()],
            rejected,
        )

    def _event(self, interaction: Interaction, trace: str | None) -> bytes:
        event = InteractionRecorded(
            event_id=interaction.event_id,
            occurred_at=interaction.occurred_at.timestamp(),
            producer=self._desk.producer.name,
            seq=self._desk.producer.next(),
            traceparent=trace,
            interaction=InteractionType(interaction.type),
            item_id=interaction.item_id,
            user_id=interaction.user_id,
            value=interaction.value,
        )
        return self._desk.producer.encode(event)


def decode(body: bytes | bytearray) -> Sequence[msgspec.Raw]:
    """The interactions in these bytes, each still to be looked at; raises Problem."""
    return decoded(_DECODER, body).events


def fault(interaction: Interaction, caller: Caller, now: float) -> str | None:
    """Why this interaction cannot be taken from this caller, None where it can."""
    if interaction.user_id != caller.user and ANYONES_EVENTS not in caller.scopes:
        return f"another user's event needs the scope {ANYONES_EVENTS}"
    if (interaction.type == "rating") is (interaction.value is None):
        return "a rating, and nothing else, has a value"
    occurred_at = interaction.occurred_at.timestamp()
    if occurred_at > now + MAX_AHEAD_SECONDS:
        return "occurred_at is in the future"
    if occurred_at < now - MAX_AGE_SECONDS:
        return "occurred_at is more than 30 days ago"
    return None


def _reply(sorted_out: _Sorted, outcomes: Sequence[Transient | None]) -> InteractionsReply:
    accepted, rejected = 0, list(sorted_out.rejected)
    for places, outcome in zip(sorted_out.places, outcomes, strict=True):
        if outcome is None:
            accepted += len(places)
        else:
            rejected += [RejectedInteraction(index=at, reason=SEND_AGAIN) for at in places]
    rejected.sort(key=lambda one: one.index)
    return InteractionsReply(accepted=accepted, rejected=rejected)
