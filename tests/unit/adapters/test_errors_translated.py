"""What an error of AWS or Redis means for the caller."""

from pathlib import Path

import pytest
import redis
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from adapters import aws_errors, redis_errors
from adapters.aws_clients import AwsClients
from adapters.sagemaker_recommender import SageMakerRecommender
from domain.errors import MangaAssistError, PartlyFailed, Permanent, Refused, Transient
from domain.recommendations import RecommendationRequest


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "secret"}}, "PutItem")


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (client_error("ProvisionedThroughputExceededException"), Transient),
        (client_error("ThrottlingException"), Transient),
        (client_error("InternalServerError"), Transient),
        (client_error("ServiceUnavailable"), Transient),
        (client_error("ExpiredTokenException"), Transient),
        (client_error("AccessDeniedException"), Transient),
        (client_error("ResourceNotFoundException"), Transient),
        (client_error("AWS.SimpleQueueService.NonExistentQueue"), Transient),
        (client_error("500"), Transient),
        (client_error(""), Transient),
        (client_error("ValidationException"), Permanent),
        (client_error("com.amazonaws.dynamodb#ValidationException"), Permanent),
        (client_error("AWS.SimpleQueueService.BatchRequestTooLong"), Permanent),
        (client_error("ConditionalCheckFailedException"), Refused),
        (EndpointConnectionError(endpoint_url="http://secret"), Transient),
        (ReadTimeoutError(endpoint_url="http://secret"), Transient),
        (NoCredentialsError(), Transient),
        (ParamValidationError(report="secret"), Permanent),
    ],
)
def test_an_error_of_aws(
    error: BotoCoreError | ClientError, meaning: type[MangaAssistError]
) -> None:
    with pytest.raises(meaning) as caught, aws_errors.translated("dynamodb"):
        raise error
    assert type(caught.value) is meaning
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (redis.ConnectionError("secret"), Transient),
        (redis.TimeoutError("secret"), Transient),
        (redis.BusyLoadingError("secret"), Transient),
        (redis.ReadOnlyError("secret"), Transient),
        (redis.AuthenticationError("secret"), Transient),
        (redis.OutOfMemoryError("secret"), Transient),
        (redis.ResponseError("MISCONF secret"), Transient),
        (redis.ResponseError("OOM command not allowed secret"), Transient),
        (ConnectionResetError("secret"), Transient),
        (redis.ResponseError("WRONGTYPE secret"), Permanent),
        (redis.DataError("secret"), Permanent),
    ],
)
def test_an_error_of_redis(
    error: redis.RedisError | OSError, meaning: type[MangaAssistError]
) -> None:
    with pytest.raises(meaning) as caught, redis_errors.translated():
        raise error
    assert type(caught.value) is meaning
    assert "secret" not in str(caught.value)


def test_what_passes_names_the_dependency_that_has_to_answer() -> None:
    with pytest.raises(Transient) as throttled, aws_errors.translated("kinesis"):
        raise client_error("ThrottlingException")
    with pytest.raises(Transient) as refused, aws_errors.translated("logs"):
        raise EndpointConnectionError(endpoint_url="http://secret")
    with pytest.raises(Transient) as loading, redis_errors.translated():
        raise redis.BusyLoadingError("secret")
    named = [caught.value.dependency for caught in (throttled, refused, loading)]
    assert named == ["kinesis", "logs", "redis"]


def test_a_pack_that_failed_in_part_names_the_one_dependency_that_passes() -> None:
    redis_down = Transient("no", dependency="redis")
    assert PartlyFailed({"a": redis_down, "b": Permanent("no")}).dependency == "redis"
    assert PartlyFailed({"a": redis_down, "b": Transient("busy")}).dependency == ""
    assert PartlyFailed({"a": Permanent("no")}).dependency == ""


def test_a_model_without_a_region_is_a_dependency_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    monkeypatch.setattr("os.environ", bare)
    model = SageMakerRecommender(AwsClients(), "recommender")
    with pytest.raises(Transient, match="NoRegionError"):
        model.recommend(RecommendationRequest((), {}, 1), seconds=1.0)
