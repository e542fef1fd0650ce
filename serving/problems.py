"""Refusals as RFC 9457 problem documents: what the client did wrong, never how we are built."""

from http import HTTPStatus

import msgspec

MEDIA_TYPE = b"application/problem+json"


class Misfit(msgspec.Struct, frozen=True):
    """What of a body does not fit; `pointer` is a JSON pointer as the fragment of a URI."""

    pointer: str
    detail: str


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True, rename={"kind": "type"}):
    """A refusal as the client reads it; `errors` tells which places of the body do not fit."""

    kind: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[Misfit] | msgspec.UnsetType = msgspec.UNSET


class Problem(Exception):  # noqa: N818 - an answer, not a fault
    """Ends the handling of a request with this status and detail."""

    def __init__(
        self, status: HTTPStatus, detail: str, misfit: Misfit | None = None, **headers: str
    ) -> None:
        super().__init__(detail)
        self.misfit = misfit
        self.status = status
        self.detail = detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def body(self) -> bytes:
        """The document as JSON."""
        document = ProblemDocument(
            title=self.status.phrase,
            status=int(self.status),
            detail=self.detail,
            errors=[self.misfit] if self.misfit else msgspec.UNSET,
        )
        return msgspec.json.encode(document)


def bad_request(detail: str) -> Problem:
    """The bytes are not what they claim to be."""
    return Problem(HTTPStatus.BAD_REQUEST, detail)


def token_needed(detail: str) -> Problem:
    """There is no token; RFC 6750, section 3.1: then the challenge names no error."""
    return Problem(HTTPStatus.UNAUTHORIZED, detail, www_authenticate="Bearer")


def invalid_token(detail: str) -> Problem:
    """There is a token, and it is not valid."""
    return Problem(HTTPStatus.UNAUTHORIZED, detail, www_authenticate='Bearer error="invalid_token"')


def forbidden(detail: str) -> Problem:
    """The caller is known and may not do this."""
    return Problem(HTTPStatus.FORBIDDEN, detail)


def too_busy(detail: str) -> Problem:
    """Nothing takes the event of this request now: it would be lost with the answer's promise."""
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, detail, retry_after="1")


def not_ready(detail: str) -> Problem:
    """This process has only begun and can't tell: the request may be as right as any."""
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, detail, retry_after="1")


def not_found(detail: str) -> Problem:
    """There is no such thing, or none that the caller may know of."""
    return Problem(HTTPStatus.NOT_FOUND, detail)


def too_large(limit_bytes: int) -> Problem:
    """The body is larger than the route takes."""
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {limit_bytes} bytes"
    )


def unprocessable(detail: str) -> Problem:
    """It is JSON, but not what the route takes."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def not_fitting(misfit: Misfit) -> Problem:
    """The same, where one place of the body does not fit."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, misfit.detail, misfit)


def unsupported_media_type() -> Problem:
    """The body is not declared as JSON."""
    return Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the content type must be application/json, once"
    )


def internal_error() -> Problem:
    """A defect of ours; the log has the rest."""
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the request could not be handled")
