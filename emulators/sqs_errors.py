"""The errors SQS answers with, by the names and texts the service uses. Pure."""

from __future__ import annotations

from emulators.wire import ApiError

LEGACY = "AWS.SimpleQueueService."


def missing(parameter: str) -> ApiError:
    return ApiError("MissingParameter", f"The request must contain the parameter {parameter}.")


def invalid_value(value: object, parameter: str, reason: str) -> ApiError:
    return ApiError(
        "InvalidParameterValue",
        f"Value {value} for parameter {parameter} is invalid. Reason: {reason}",
    )


def invalid_parameters(reason: str) -> ApiError:
    return ApiError(
        "InvalidParameterValue", f"One or more parameters are invalid. Reason: {reason}"
    )


def unsupported(message: str) -> ApiError:
    return ApiError("UnsupportedOperation", message, query_code=LEGACY + "UnsupportedOperation")


def no_such_queue() -> ApiError:
    return ApiError(
        "QueueDoesNotExist",
        "The specified queue does not exist.",
        query_code=LEGACY + "NonExistentQueue",
    )


def queue_exists(attribute: str) -> ApiError:
    return ApiError(
        "QueueNameExists",
        "A queue already exists with the same name and a different value for attribute "
        f"{attribute}",
        query_code="QueueAlreadyExists",
    )


def unknown_attribute(name: str) -> ApiError:
    return ApiError("InvalidAttributeName", f"Unknown Attribute {name}.")


def invalid_attribute(name: str) -> ApiError:
    return ApiError("InvalidAttributeValue", f"Invalid value for the parameter {name}.")


def invalid_contents() -> ApiError:
    return ApiError("InvalidMessageContents", "The message contains invalid characters.")


def invalid_receipt() -> ApiError:
    return ApiError("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")


def not_available(handle: str) -> ApiError:
    return invalid_value(
        handle,
        "ReceiptHandle",
        "Message does not exist or is not available for visibility timeout change.",
    )


def over_limit(count: int) -> ApiError:
    return ApiError("OverLimit", f"Too many messages in flight: {count}.", status=403)


def no_such_resource(message: str) -> ApiError:
    return ApiError("ResourceNotFoundException", message, status=404)


def batch(code: str, message: str) -> ApiError:
    return ApiError(code, message, query_code=LEGACY + code)
