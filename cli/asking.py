"""`mangaassist ask`: one question to the running request path, as a customer's app would ask it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from uuid import uuid4

from cli import output, tokens, web_calls
from cli.failures import FAILED, Failure
from cli.target import aim

OK = 200
TOKEN_SECONDS = 60


def run(
    question: str,
    user: str | None,
    locale: str | None,
    session: str | None,
    data_dir: Path | None,
    *,
    as_json: bool,
) -> None:
    """Ask, and print the answer; raises Failure where there is none."""
    target = aim(data_dir)
    token = ""
    if user is not None:
        if target.stack is None:
            raise Failure("--user needs the key of an embedded stack: name its --data-dir")
        token = tokens.mint(target.stack.directory, user, "", TOKEN_SECONDS)
    document: dict[str, object] = {"session_id": session or uuid4().hex, "message": question}
    if locale is not None:
        document["locale"] = locale
    reply = web_calls.post(f"{target.http}/v1/chat", document, token)
    if reply.status != OK:
        detail = reply.body.get("detail") or reply.body.get("title") or "no reason given"
        raise Failure(f"{target.http} answers {reply.status}: {detail}", FAILED)
    if as_json:
        output.document(reply.body)
        return
    answer = reply.body["answer"]
    assert isinstance(answer, dict)  # noqa: S101 - the contract of the route
    output.line(answer["text"])
    output.items(answer["items"], answer["locale"])
    output.line(f"[{', '.join(_origin(answer['kind'], reply.body))}]")


def _origin(kind: str, body: Mapping[str, object]) -> Iterator[str]:
    """Where an answer comes from; only one that was published has a version."""
    yield kind
    yield str(body["source"])
    yield f"{body['age_seconds']} s old"
    if body["version"]:
        yield f"version {body['version']}"
