"""The model behind a SageMaker endpoint; it needs sagemaker:InvokeEndpoint of that.

A call is tried once: whoever waits for it has a better use for the time than a second try. The
endpoint learns titles and features, never whose they are. Raises Transient for what the endpoint
may do better next time, also for an answer that cannot be read; Permanent where it refuses ours.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from botocore.exceptions import ClientError
from msgspec import Meta

from adapters.aws_clients import AwsClients
from adapters.aws_errors import code_of, translated
from domain.errors import Permanent, Transient
from domain.recommendations import RecommendationRequest, Recommended

SERVICE = "sagemaker"
JSON = "application/json"
MAX_ANSWER_BYTES = 256 * 1024
MAX_RECENT = 100
"""The model looks no further back."""
_CLIENT_ERRORS = range(400, 500)


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    recent: Sequence[str]
    features: dict[str, dict[str, str]]
    limit: int


class _Item(msgspec.Struct, frozen=True):
    id: Annotated[str, Meta(min_length=1, max_length=255)]
    score: Annotated[float, Meta(ge=-1e9, le=1e9)]


class _Reply(msgspec.Struct, frozen=True):
    items: Annotated[list[_Item], Meta(max_length=1000)]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Reply).decode


class SageMakerRecommender:
    """Implements `domain.ports.Recommender`."""

    def __init__(self, aws: AwsClients, endpoint: str) -> None:
        self._aws = aws
        self._endpoint = endpoint

    def recommend(self, request: RecommendationRequest, seconds: float) -> Sequence[Recommended]:
        """Titles for these tastes, best first."""
        body = _encode(
            _Request(
                recent=request.recent[:MAX_RECENT],
                features={group: dict(values) for group, values in request.features.items()},
                limit=request.limit,
            )
        )
        return _read(self._invoke(body, seconds))[: request.limit]

    def _invoke(self, body: bytes, seconds: float) -> bytes:
        with translated(SERVICE):
            client = self._aws.sagemaker_runtime(seconds)
            try:
                reply = client.invoke_endpoint(
                    EndpointName=self._endpoint, ContentType=JSON, Accept=JSON, Body=body
                )
                return reply["Body"].read(MAX_ANSWER_BYTES + 1)
            except ClientError as error:
                if _is_our_fault(error):
                    raise Permanent("the model does not take what it is asked") from error
                raise


def _is_our_fault(error: ClientError) -> bool:
    """Whether the container itself refused the request; one that fails may do better later."""
    return (
        code_of(error) == "ModelError"
        and error.response.get("OriginalStatusCode") in _CLIENT_ERRORS
    )


def _read(answer: bytes) -> list[Recommended]:
    if len(answer) > MAX_ANSWER_BYTES:
        raise Transient("the model answers with too much", dependency=SERVICE)
    try:
        items = _decode(answer).items
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Transient("the model's answer cannot be read", dependency=SERVICE) from error
    once = {item.id: Recommended(item.id, item.score) for item in reversed(items)}
    return sorted(once.values(), key=lambda one: (-one.score, one.item_id))
