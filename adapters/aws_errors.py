"""What an error of AWS means for the caller: the one place where its codes are read.

Transient: throttling, 5xx, time-outs, lost connections, and credentials or permissions, since a
person mends those and no job may be lost over them. Permanent: the request itself is wrong.
Refused: a condition did not hold.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    ParamValidationError,
)
from botocore.exceptions import (
    ConnectionError as AwsConnectionError,
)

from domain.errors import MangaAssistError, Permanent, Refused, Transient

PERMANENT_CODES = frozenset(
    {
        "BatchEntryIdsNotDistinct",
        "BatchRequestTooLong",
        "InvalidMessageContents",
        "InvalidParameterException",
        "InvalidParameterValue",
        "InvalidArgumentException",
        "ItemCollectionSizeLimitExceededException",
        "MissingParameter",
        "SerializationException",
        "TooManyEntriesInBatchRequest",
        "UnsupportedOperation",
        "ValidationError",
        "ValidationException",
    }
)
REFUSED_CODES = frozenset({"ConditionalCheckFailedException"})


def code_of(error: ClientError) -> str:
    """The code without the prefixes that the older protocols put before it."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    return code.rpartition("#")[2].removeprefix("AWS.SimpleQueueService.")


def meaning(error: BotoCoreError | ClientError, service: str) -> MangaAssistError:
    """The error of ours that says what the caller may do; it quotes no data of the request.

    A transient one names the service as its dependency.
    """
    if isinstance(error, ClientError):
        return meaning_of_code(code_of(error), service, error.operation_name)
    what = f"{service}: {type(error).__name__}"
    if isinstance(error, ParamValidationError):
        return Permanent(what)
    if isinstance(error, (AwsConnectionError, HTTPClientError)):
        what = f"{service} does not answer: {type(error).__name__}"
    return Transient(what, dependency=service)


def meaning_of_code(code: str, service: str, operation: str) -> MangaAssistError:
    """The error of ours for a code of the API."""
    what = f"{service} answers {code or 'with an error'} to {operation}"
    if code in REFUSED_CODES:
        return Refused(what)
    # an event of a stream names the same error with a small letter
    if code[:1].upper() + code[1:] in PERMANENT_CODES:
        return Permanent(what)
    return Transient(what, dependency=service)


@contextmanager
def translated(service: str) -> Iterator[None]:
    """Raise Transient, Permanent or Refused instead of what botocore raises."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise meaning(error, service) from error
