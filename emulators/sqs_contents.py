"""What a message may contain: characters, attributes, sizes, the MD5s SDKs verify. Pure."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterable, Mapping

from emulators import sqs_errors
from emulators.sqs_queue import AttributeValue

MAX_MESSAGE_BYTES = 1_048_576
MAX_ATTRIBUTES = 10
MAX_NAME_LENGTH = 256
MAX_GROUP_ID_LENGTH = 128
# XML 1.0 characters: everything else is refused by the service
ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
ATTRIBUTE_NAME = re.compile(r"(?!\.)(?!.*\.\.)[A-Za-z0-9_.-]{1,256}(?<!\.)")
GROUP_ID = re.compile(r"[\x21-\x7e]{1,128}")
DATA_TYPE = re.compile(r"(String|Number|Binary)(\..+)?")
RESERVED_PREFIXES = ("aws.", "amazon.")
LENGTH = struct.Struct(">I")

Attributes = Mapping[str, AttributeValue]


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _value(attribute: AttributeValue) -> bytes:
    if attribute.data_type.startswith("Binary"):
        return attribute.binary_value or b""
    return (attribute.string_value or "").encode()


def attributes_md5(attributes: Attributes) -> str:
    """The digest of sorted, length-prefixed name, type and value, as SDKs recompute it."""
    parts: list[bytes] = []
    for name in sorted(attributes):
        attribute = attributes[name]
        for text in (name.encode(), attribute.data_type.encode()):
            parts += (LENGTH.pack(len(text)), text)
        value = _value(attribute)
        transport = b"\x02" if attribute.data_type.startswith("Binary") else b"\x01"
        parts += (transport, LENGTH.pack(len(value)), value)
    return md5(b"".join(parts))


def size_bytes(body: bytes, attributes: Attributes) -> int:
    return len(body) + sum(
        len(name.encode()) + len(a.data_type.encode()) + len(_value(a))
        for name, a in attributes.items()
    )


def check_body(body: str) -> None:
    if not body:
        raise sqs_errors.missing("MessageBody")
    if (not body.isascii() or not body.isprintable()) and ILLEGAL.search(body):
        raise sqs_errors.invalid_contents()


def check_size(size: int, limit: int) -> None:
    if size > limit:
        raise sqs_errors.invalid_parameters(f"Message must be shorter than {limit} bytes.")


def check_attributes(attributes: Attributes) -> None:
    if len(attributes) > MAX_ATTRIBUTES:
        raise sqs_errors.invalid_parameters(
            f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum "
            f"[{MAX_ATTRIBUTES}]."
        )
    for name, attribute in attributes.items():
        _check_name(name)
        _check_value(name, attribute)


def _check_name(name: str) -> None:
    if not ATTRIBUTE_NAME.fullmatch(name) or name.lower().startswith(RESERVED_PREFIXES):
        raise sqs_errors.invalid_value(name, "MessageAttributeName", "Name is not allowed.")


def _check_value(name: str, attribute: AttributeValue) -> None:
    match = DATA_TYPE.fullmatch(attribute.data_type)
    if match is None:
        raise sqs_errors.invalid_parameters(
            f"The message attribute '{name}' has an invalid message attribute type, the set of "
            "supported type prefixes is Binary, Number, and String."
        )
    if not _value(attribute):
        raise sqs_errors.invalid_parameters(
            f"The message attribute '{name}' must contain a non-empty message attribute value for "
            f"message attribute type '{match[1]}'."
        )
    if match[1] == "Number" and not _is_number(attribute.string_value or ""):
        raise sqs_errors.invalid_parameters(
            f"Could not cast message attribute '{name}' value to number."
        )
    if attribute.string_value is not None and ILLEGAL.search(attribute.string_value):
        raise sqs_errors.invalid_contents()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def check_group_id(group_id: str) -> None:
    if not GROUP_ID.fullmatch(group_id):
        raise sqs_errors.invalid_value(
            group_id,
            "MessageGroupId",
            "MessageGroupId can only include alphanumeric and punctuation characters. 1 to 128 in "
            "length.",
        )


def selected(attributes: Attributes, wanted: Iterable[str]) -> dict[str, AttributeValue]:
    """The attributes a receiver asked for: by name, by `prefix.*`, or All."""
    exact = set(wanted)
    if exact & {"All", ".*"}:
        return dict(attributes)
    prefixes = tuple(name[:-2] for name in exact if name.endswith(".*"))
    return {
        name: value
        for name, value in attributes.items()
        if name in exact or (prefixes and name.startswith(prefixes))
    }
