"""The events of an AWS event stream as they arrive, with their checksums verified."""

from collections.abc import AsyncIterator

import aiohttp
from botocore.eventstream import EventStreamBuffer, ParserError

from adapters.aws_errors import meaning_of_code
from adapters.aws_http import timely
from domain.errors import Transient

EXCEPTION_HEADERS = {"exception": ":exception-type", "error": ":error-code"}
"""Where the name of what ended a stream stands, by the type of its last message."""


async def events(
    response: aiohttp.ClientResponse, service: str, operation: str, deadline: float
) -> AsyncIterator[tuple[str, bytes]]:
    """Type and payload of each event until the connection's answer ends.

    That it ends says nothing of the message: whoever reads knows which event is the last. Raises
    what the stream says, Transient where it breaks off or is garbled.
    """
    buffer = EventStreamBuffer()
    while True:
        async with timely(deadline, service):
            data = await response.content.readany()
        if not data:
            return
        buffer.add_data(data)
        try:
            messages = list(buffer)
        except ParserError as error:
            raise Transient(f"{service} sends a garbled stream", dependency=service) from error
        for message in messages:
            headers = message.to_response_dict()["headers"]
            kind = headers.get(":message-type", "")
            if kind != "event":
                code = headers.get(EXCEPTION_HEADERS.get(kind, ""), "")
                raise meaning_of_code(str(code), service, operation)
            yield str(headers.get(":event-type", "")), message.payload
