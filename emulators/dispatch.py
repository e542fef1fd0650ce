"""One port, many services: finds whom a request speaks to, counts it, makes faults real.

Knows the service port and the faults, and no service by name.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from emulators.faults import FaultRule, Faults, Plan
from emulators.wire import ApiError, Call, Dropped, Outcome, Reply, Request, Response, Service

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

CONTROL_PREFIX = "/_emulator/"


def _json(value: object, status: int = 200) -> Response:
    return Response(status, msgspec.json.encode(value))


class Dispatcher:
    def __init__(self, services: Sequence[Service], faults: Faults | None = None) -> None:
        self._services = {service.name: service for service in services}
        self._faults = faults or Faults()
        self._calls: dict[str, Counter[str]] = {name: Counter() for name in self._services}
        self._healed = asyncio.Event()

    # --- services ---

    def handle(self, request: Request) -> Outcome:
        if request.path.startswith(CONTROL_PREFIX):
            return self._control(request)
        for service in self._services.values():
            if service.claims(request):
                return self._serve(service, request)
        return _json({"message": "no emulated service answers this request"}, 404)

    def _serve(self, service: Service, request: Request) -> Outcome:
        try:
            call = service.parse(request)
            self._calls[service.name][call.action] += 1
            plan = self._faults.plan(service.name, call.action, call.resource)
            if plan is not None:
                return self._misbehave(service, call, plan)
            outcome = service.invoke(call)
        except ApiError as error:
            return service.error(error)
        if isinstance(outcome, Response | Dropped):
            return outcome
        return self._settled(service, outcome)

    @staticmethod
    async def _settled(service: Service, outcome: Outcome) -> Reply:
        try:
            return outcome if isinstance(outcome, Response | Dropped) else await outcome
        except ApiError as error:
            return service.error(error)

    async def _misbehave(self, service: Service, call: Call, plan: Plan) -> Reply:
        if plan.hang:
            await self._healed.wait()
        if plan.delay_seconds:
            await asyncio.sleep(plan.delay_seconds)
        if plan.reset:
            return Dropped()
        if plan.error:
            return service.error(service.fault(plan.error))
        if plan.partial:
            call.entry_fails = lambda: self._faults.rng.random() < plan.partial
        if plan.entry_errors:
            call.entry_errs = lambda: self._faults.rng.random() < plan.entry_errors
        call.delivery = plan.delivery
        call.streaming = plan.streaming
        try:
            reply = await self._settled(service, service.invoke(call))
        except ApiError as error:
            reply = service.error(error)
        return Dropped() if plan.lose_reply else reply

    # --- control ---

    def _control(self, request: Request) -> Response:
        path = request.path.removeprefix(CONTROL_PREFIX)
        service, _, rest = path.partition("/")
        if service in self._services:
            return self._services[service].control(request, rest)
        match request.method, path:
            case "GET", "health":
                return _json({"status": "ok", "services": [*self._services], "pid": os.getpid()})
            case "GET", "calls":
                return _json(self.calls())
            case "DELETE", "calls":
                self.reset_calls()
                return _json(self.calls())
            case (("PUT" | "POST" | "GET" | "DELETE"), "faults"):
                return self._control_faults(request)
        return _json({"message": f"nothing at {request.method} {request.path}"}, 404)

    def _control_faults(self, request: Request) -> Response:
        try:
            if request.method in {"PUT", "POST"}:
                rules = msgspec.json.decode(request.body, type=list[FaultRule])
                self.inject(rules, replace=request.method == "PUT")
        except msgspec.MsgspecError as error:
            return _json({"message": f"bad fault rules: {error}"}, 400)
        if request.method == "DELETE":
            self.heal()
        return _json(self._faults.rules)

    def calls(self) -> dict[str, dict[str, int]]:
        return {name: dict(counter) for name, counter in self._calls.items()}

    def reset_calls(self) -> None:
        for counter in self._calls.values():
            counter.clear()

    def inject(self, rules: Sequence[FaultRule], *, replace: bool = True) -> None:
        """Set or add rules; calls held by an earlier `hang` go on when rules are replaced."""
        if replace:
            self.heal()
        self._faults.rules.extend(rules)

    def heal(self) -> None:
        self._faults.rules.clear()
        self._healed.set()
        self._healed = asyncio.Event()

    def close(self) -> None:
        for service in self._services.values():
            service.close()
