"""The frames of a conversation, whatever carries them: JSON texts, each with its `type`.

Decoding refuses unknown types and fields; what goes out is joined from bytes that are JSON already.
"""

from http import HTTPStatus
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from domain.events import Locale
from serving.exchange import decoded
from serving.models import Id, Message
from serving.problems import Problem, ProblemDocument

FRAME_LIMIT = 32 * 1024
"""What API Gateway passes on in one frame. 4,000 Japanese characters are 12,000 bytes."""

Code = Literal[
    "malformed", "unauthorized", "forbidden", "invalid", "busy", "too_many_messages",
    "too_many_connections", "reconnect", "internal",
]  # fmt: skip

_CODES: dict[int, Code] = {
    HTTPStatus.BAD_REQUEST: "malformed",
    HTTPStatus.UNAUTHORIZED: "unauthorized",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.UNPROCESSABLE_ENTITY: "invalid",
    HTTPStatus.TOO_MANY_REQUESTS: "busy",
}


class AuthFrame(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="auth"):
    """Says who speaks; without a token, that somebody does who is not signed in."""

    token: Annotated[str, Meta(max_length=8192)] | None = None


class MessageFrame(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="message"
):
    """A question; sent again with its `message_id` it is the same turn of the session.

    With `timing` the answer says in `server_timing` what HTTP says in the header of that name.
    """

    message: Message
    message_id: Id | None = None
    locale: Locale | None = None
    timing: bool = False


class TokenFrame(msgspec.Struct, frozen=True, kw_only=True, tag="token", omit_defaults=True):
    """A piece of an answer that is still being made; of which message, where that has an id."""

    text: str
    message_id: str | None = None


class ErrorFrame(msgspec.Struct, frozen=True, kw_only=True, tag="error", omit_defaults=True):
    """What went wrong; `message_id` where it was one message."""

    code: Code
    detail: str
    message_id: str | None = None


Incoming = AuthFrame | MessageFrame

_TIMING = b"server-timing: "


class AnswerText(msgspec.Struct, frozen=True):
    """The text of an answer, without the rest of it."""

    text: str


class AnswerGist(msgspec.Struct, frozen=True):
    """What a conversation remembers of the body that HTTP has."""

    answer: AnswerText
    source: str
    event_id: str


_INCOMING: msgspec.json.Decoder[Incoming] = msgspec.json.Decoder(Incoming)
_encode = msgspec.json.Encoder().encode
_decode_gist = msgspec.json.Decoder(AnswerGist).decode
_decode_problem = msgspec.json.Decoder(ProblemDocument).decode


def read(text: bytes | bytearray) -> Incoming:
    """The frame in this text; raises Problem."""
    return decoded(_INCOMING, text)


def token(text: str, message_id: str | None = None) -> bytes:
    """A token frame."""
    return _encode(TokenFrame(text=text, message_id=message_id))


def answer(body: bytes, message_id: str | None, timing: bytes = b"") -> bytes:
    """An answer frame around the JSON object that HTTP has as its body."""
    head = b'{"type":"answer",'
    if message_id is not None:
        head += b'"message_id":"%b",' % message_id.encode()
    if timing:
        head += b'"server_timing":"%b",' % timing.replace(b'"', b'\\"')
    return head + body[1:]


def timing_in(lines: bytes) -> bytes:
    """The text of the header Server-Timing among these."""
    return lines.partition(_TIMING)[2].partition(b"\r\n")[0]


def gist(body: bytes) -> AnswerGist | None:
    """What is to be remembered of the body of an answer; None of one that says too little."""
    try:
        return _decode_gist(body)
    except msgspec.DecodeError:
        return None


def error(code: Code, detail: str, message_id: str | None = None) -> bytes:
    """An error frame."""
    return _encode(ErrorFrame(code=code, detail=detail, message_id=message_id))


def code_of(problem: Problem) -> Code:
    """What an error frame calls the problem."""
    return _CODES.get(problem.status, "internal")


def error_in(document: bytes) -> ErrorFrame:
    """What a problem document says, as an error frame does."""
    found = _decode_problem(document)
    return ErrorFrame(code=_CODES.get(found.status, "internal"), detail=found.detail)
