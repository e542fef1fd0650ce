"""SageMaker Feature Store: the runtime over rest-json, and the control plane of its groups.

Groups are created through CreateFeatureGroup, declared at start, or declared through
PUT /_emulator/featurestore/groups; unknown ones are errors.
"""

from __future__ import annotations

import re
import urllib.parse
from typing import TYPE_CHECKING, TypeVar

import msgspec

from emulators import featurestore_groups as groups_api
from emulators import featurestore_shapes as api
from emulators.featurestore_actions import FeatureStoreActions
from emulators.featurestore_batches import FeatureStoreBatches
from emulators.featurestore_state import Group, validation
from emulators.featurestore_store import FeatureStore
from emulators.journal import Journal, JournalError
from emulators.wire import ApiError, Call, Outcome, Request, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from emulators.wire import Clock

GROUP_PREFIX = "/FeatureGroup/"
ROUTE = re.compile(r"/FeatureGroup/([^/]+|arn[^/]*/[^/]+)(/ListRecords|/Record)?")
ACTIONS = {
    ("PUT", ""): "PutRecord",
    ("GET", ""): "GetRecord",
    ("DELETE", ""): "DeleteRecord",
    ("POST", "/ListRecords"): "ListRecords",
    ("POST", "/Record"): "UpdateRecord",
}
GROUP_ACTIONS = ("CreateFeatureGroup", "DescribeFeatureGroup")
BATCH_ACTIONS = {"/BatchGetRecord": "BatchGetRecord", "/BatchWriteRecord": "BatchWriteRecord"}

T = TypeVar("T")
Query = dict[str, list[str]]


class FeatureStoreService:
    name = "featurestore"

    def __init__(
        self,
        *,
        clock: Clock,
        account: str,
        region: str,
        journal: Journal | None = None,
        groups: Sequence[Group] = (),
    ) -> None:
        self.store = FeatureStore(clock, journal)
        actions = FeatureStoreActions(self.store)
        batches = FeatureStoreBatches(self.store, actions)
        control = groups_api.GroupActions(self.store, account, region)
        self._performers: dict[str, Callable[[Call], object]] = {
            "PutRecord": _on_group(api.PutRecord, actions.put),
            "GetRecord": _on_group(api.GetRecord, actions.get),
            "DeleteRecord": _on_group(api.DeleteRecord, actions.delete),
            "UpdateRecord": _on_group(api.UpdateRecord, actions.update),
            "ListRecords": _on_group(api.ListRecords, actions.list_records),
            "BatchGetRecord": _on_many(api.BatchGetRecord, batches.batch_get),
            "BatchWriteRecord": _on_many(api.BatchWriteRecord, batches.batch_write),
            "CreateFeatureGroup": _on_account(groups_api.CreateFeatureGroup, control.create),
            "DescribeFeatureGroup": _on_account(groups_api.DescribeFeatureGroup, control.describe),
        }
        for group in groups:
            self.store.declare(group)

    # --- the service port ---

    def claims(self, request: Request) -> bool:
        if _target(request) in GROUP_ACTIONS:
            return True
        return request.path.startswith(GROUP_PREFIX) or request.path in BATCH_ACTIONS

    def parse(self, request: Request) -> Call:
        if target := _target(request):
            action, resource = target, ""
        elif request.path in BATCH_ACTIONS and request.method == "POST":
            action, resource = BATCH_ACTIONS[request.path], ""
        else:
            # botocore escapes the slash of an ARN; other clients may not
            match = ROUTE.fullmatch(urllib.parse.unquote(request.path))
            suffix = (match[2] or "") if match else ""
            action = ACTIONS.get((request.method, suffix), "") if match else ""
            resource = match[1] if match else ""
        if not action:
            raise ApiError("UnknownOperationException", "No such operation.", status=404)
        return Call(action, request, _PARSERS[action](request), resource)

    def invoke(self, call: Call) -> Outcome:
        try:
            result = self._performers[call.action](call)
        except JournalError as error:
            raise self.fault("http500") from error
        return Response(200, b"" if result is None else msgspec.json.encode(result))

    def fault(self, kind: str) -> ApiError:
        match kind:
            case "throttle":
                return ApiError("ThrottlingException", "Rate exceeded")
            case "expired_token":
                message = "The security token included in the request is expired"
                return ApiError("ExpiredTokenException", message, status=403)
            case "access_denied":
                message = "User is not authorized to perform this action."
                return ApiError("AccessForbidden", message, status=403)
            case "http503":
                return ApiError("ServiceUnavailable", "Service is unavailable.", status=503)
            case _:
                return ApiError("InternalFailure", "Internal failure.", status=500)

    def error(self, error: ApiError) -> Response:
        # The runtime's clients read the header, the control plane's the body.
        body = {"Message": error.message, "message": error.message, "__type": error.code}
        headers = (("x-amzn-ErrorType", error.code),)
        return Response(error.status, msgspec.json.encode(body), headers=headers)

    def control(self, request: Request, path: str) -> Response:
        """GET lists the declared groups, PUT declares a JSON list of them."""
        if path != "groups" or request.method not in {"GET", "PUT"}:
            return Response(404, msgspec.json.encode({"message": f"nothing at {path}"}))
        if request.method == "PUT":
            try:
                groups = msgspec.json.decode(request.body, type=list[Group])
            except msgspec.MsgspecError as error:
                return Response(400, msgspec.json.encode({"message": str(error)}))
            for group in groups:
                self.store.declare(group)
        return Response(200, msgspec.json.encode(list(self.store)))

    def close(self) -> None:
        self.store.close()


# --- actions ---


def _on_group(kind: type[T], act: Callable[[str, T], object]) -> Callable[[Call], object]:
    def perform(call: Call) -> object:
        assert isinstance(call.params, kind)  # noqa: S101 - parse() made it so
        return act(call.resource, call.params)

    return perform


def _on_many(kind: type[T], act: Callable[[T, Call], object]) -> Callable[[Call], object]:
    def perform(call: Call) -> object:
        assert isinstance(call.params, kind)  # noqa: S101 - parse() made it so
        return act(call.params, call)

    return perform


def _on_account(kind: type[T], act: Callable[[T], object]) -> Callable[[Call], object]:
    def perform(call: Call) -> object:
        assert isinstance(call.params, kind)  # noqa: S101 - parse() made it so
        return act(call.params)

    return perform


# --- parameters ---


def _target(request: Request) -> str:
    """The action of the control plane that a request names, if it does."""
    target = request.header(b"x-amz-target")
    is_ours = target.startswith(groups_api.TARGET_PREFIX)
    return target.removeprefix(groups_api.TARGET_PREFIX) if is_ours else ""


def _query(request: Request) -> Query:
    return urllib.parse.parse_qs(request.query, keep_blank_values=True)


def _one(query: Query, name: str) -> str:
    values = query.get(name, [""])
    if not values[0]:
        raise validation(f"{name} is required.")
    return values[0]


def _get(request: Request) -> api.GetRecord:
    query = _query(request)
    return api.GetRecord(
        identifier=_one(query, "RecordIdentifierValueAsString"),
        feature_names=query.get("FeatureName", []),
        with_expiry=query.get("ExpirationTimeResponse") == ["Enabled"],
    )


def _delete(request: Request) -> api.DeleteRecord:
    query = _query(request)
    return api.DeleteRecord(
        identifier=_one(query, "RecordIdentifierValueAsString"),
        event_time=_one(query, "EventTime"),
        target_stores=query.get("TargetStores", []),
        mode=query.get("DeletionMode", ["SoftDelete"])[0],
    )


def _body(kind: type[T]) -> Callable[[Request], T]:
    decoder = msgspec.json.Decoder(kind)

    def parse(request: Request) -> T:
        try:
            return decoder.decode(request.body or b"{}")
        except msgspec.MsgspecError as error:
            raise validation(str(error)) from error

    return parse


_PARSERS: dict[str, Callable[[Request], object]] = {
    "PutRecord": _body(api.PutRecord),
    "GetRecord": _get,
    "DeleteRecord": _delete,
    "UpdateRecord": _body(api.UpdateRecord),
    "ListRecords": _body(api.ListRecords),
    "BatchGetRecord": _body(api.BatchGetRecord),
    "BatchWriteRecord": _body(api.BatchWriteRecord),
    "CreateFeatureGroup": _body(groups_api.CreateFeatureGroup),
    "DescribeFeatureGroup": _body(groups_api.DescribeFeatureGroup),
}
