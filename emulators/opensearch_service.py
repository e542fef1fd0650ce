"""A small OpenSearch at the wire: indices, aliases, bulk and search. For contract tests.

As a collection it takes no document ids; a search is of one index or alias.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from emulators.opensearch_index import Index
from emulators.wire import ApiError, Call, Outcome, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = r"([a-z0-9][a-z0-9_.-]*)"
MISSING = "index_not_found_exception"
FULL = ApiError("rejected_execution_exception", "The queue is full.", status=429)

_json = msgspec.json.encode
Reply = tuple[int, object]


class Route(NamedTuple):
    """Which action a request is."""

    method: str
    path: re.Pattern[str]
    action: str


ROUTES = [
    Route(method, re.compile(path), action)
    for method, path, action in (
        ("PUT", f"/{NAME}", "create"),
        ("HEAD", f"/{NAME}", "exists"),
        ("DELETE", f"/{NAME}", "delete"),
        ("HEAD", f"/_alias/{NAME}", "alias_exists"),
        ("GET", f"/_alias/{NAME}", "alias"),
        ("POST", "/_aliases()", "aliases"),
        ("POST", f"/{NAME}/_bulk", "bulk"),
        ("POST", f"/{NAME}/_refresh", "refresh"),
        ("POST", f"/{NAME}/_search", "search"),
    )
]


class OpenSearchService:
    name = "opensearch"

    def __init__(self) -> None:
        self.indices: dict[str, Index] = {}
        self._aliases: dict[str, set[str]] = {}
        self._performers: dict[str, Callable[[Call], Reply]] = {
            "create": self._create,
            "exists": lambda call: (200 if call.resource in self.indices else 404, None),
            "delete": self._delete,
            "alias_exists": lambda call: (200 if self._aliases.get(call.resource) else 404, None),
            "alias": self._alias,
            "aliases": self._change_aliases,
            "bulk": self._bulk,
            "refresh": lambda call: (200 if self._index(call) else 404, {}),
            "search": self._search,
        }

    # --- the service port ---

    def claims(self, request: Request) -> bool:
        return any(route.path.fullmatch(request.path) for route in ROUTES)

    def parse(self, request: Request) -> Call:
        for route in ROUTES:
            match = route.path.fullmatch(request.path)
            if match and request.method == route.method:
                return Call(route.action, request, None, match[1])
        raise ApiError("illegal_argument_exception", "no handler found", status=405)

    def invoke(self, call: Call) -> Outcome:
        try:
            status, document = self._performers[call.action](call)
        except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            raise ApiError("parsing_exception", f"cannot be read: {error!r}") from error
        return Response(status, b"" if document is None else _json(document))

    def fault(self, kind: str) -> ApiError:
        code, status = _FAULTS.get(kind, _FAULTS["http500"])
        return ApiError(code, "The call failed as it was told to.", status=status)

    def error(self, error: ApiError) -> Response:
        cause = {"type": error.code, "reason": error.message}
        document = {"error": {**cause, "root_cause": [cause]}, "status": error.status}
        return Response(error.status, _json(document))

    def control(self, request: Request, path: str) -> Response:
        del request
        return Response(404, _json({"message": f"nothing at {path}"}))

    def close(self) -> None:
        """Keeps nothing."""

    # --- actions ---

    def _create(self, call: Call) -> Reply:
        if call.resource in self.indices:
            raise ApiError("resource_already_exists_exception", f"[{call.resource}] exists")
        self.indices[call.resource] = Index(_body(call))
        return 200, {"acknowledged": True, "index": call.resource}

    def _delete(self, call: Call) -> Reply:
        self._index(call)
        del self.indices[call.resource]
        for names in self._aliases.values():
            names.discard(call.resource)
        return 200, {"acknowledged": True}

    def _alias(self, call: Call) -> Reply:
        names = self._aliases.get(call.resource)
        if not names:
            return 404, {"error": f"alias [{call.resource}] missing", "status": 404}
        return 200, {name: {"aliases": {call.resource: {}}} for name in names}

    def _change_aliases(self, call: Call) -> Reply:
        for action in _body(call)["actions"]:
            kind, change = next(iter(action.items()))
            if change["index"] not in self.indices:
                raise ApiError(MISSING, f"no such index [{change['index']}]", status=404)
            names = self._aliases.setdefault(change["alias"], set())
            (names.add if kind == "add" else names.discard)(change["index"])
        return 200, {"acknowledged": True}

    def _bulk(self, call: Call) -> Reply:
        index = self._index(call)
        lines = call.request.body.splitlines()
        rows: list[dict[str, Any]] = []
        for action, line in zip(lines[::2], lines[1::2], strict=True):
            if msgspec.json.decode(action) != {"index": {}}:
                raise ApiError("illegal_argument_exception", "Document ID is not supported")
            if call.entry_fails():
                rows.append(_refused(FULL))
            else:
                rows.append(_indexed(index, msgspec.json.decode(line)))
        failed = any("error" in row["index"] for row in rows)
        return 200, {"took": 1, "errors": failed, "items": rows}

    def _search(self, call: Call) -> Reply:
        hits = self._index(call).search(_body(call))
        shards = {"total": 2, "successful": 2, "skipped": 0, "failed": 0}
        if call.is_partial:
            # a shard did not answer: what it holds is missing
            hits = [hit for hit in hits if not call.entry_fails()]
            shards |= {"successful": 1, "failed": 1}
        return 200, {"took": 1, "timed_out": False, "_shards": shards, "hits": {"hits": hits}}

    def _index(self, call: Call) -> Index:
        names = self._aliases.get(call.resource) or {call.resource}
        found = self.indices.get(min(names))
        if found is None:
            raise ApiError(MISSING, f"no such index [{call.resource}]", status=404)
        return found


_FAULTS = {
    "throttle": ("rejected_execution_exception", 429),
    "expired_token": ("security_exception", 403),
    "access_denied": ("security_exception", 403),
    "http503": ("cluster_block_exception", 503),
    "http500": ("exception", 500),
}


def _indexed(index: Index, document: dict[str, Any]) -> dict[str, Any]:
    try:
        index.add(document)
    except ApiError as error:
        return _refused(error)
    return {"index": {"status": 201, "result": "created"}}


def _refused(error: ApiError) -> dict[str, Any]:
    cause = {"type": error.code, "reason": error.message}
    return {"index": {"status": error.status, "error": cause}}


def _body(call: Call) -> dict[str, Any]:
    return msgspec.json.decode(call.request.body, type=dict[str, Any])
