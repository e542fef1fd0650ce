"""What an error of AWS or Redis means for the caller."""

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
from domain.errors import MangaAssistError, Permanent, Refused, Transient


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
