"""The chat page of `web/` at `/`: read once, sent from memory, talks to this server only."""

from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

MEDIA_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
INDEX = "index.html"
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",
}


def page_routes() -> list[BaseRoute]:
    """A route for each file of the page; `/` is its index."""
    return [
        _route(file.name, file.read_bytes())
        for file in files("web").iterdir()
        if _is_part(file.name)
    ]


def _is_part(name: str) -> bool:
    return _ending(name) in MEDIA_TYPES


def _route(name: str, content: bytes) -> Route:
    media_type = MEDIA_TYPES[_ending(name)]

    async def send(_request: Request) -> Response:
        return Response(content, headers=_HEADERS, media_type=media_type)

    return Route("/" if name == INDEX else f"/{name}", send, methods=["GET"])


def _ending(name: str) -> str:
    return name[name.rfind(".") :]
