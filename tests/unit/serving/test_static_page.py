"""The chat page: every part of it is there, and it may talk to its own server only."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from serving.static_page import page_routes

WEB = Path(__file__).parents[3] / "web"


@pytest.fixture
async def page() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Starlette(routes=page_routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://page") as client:
        yield client


async def test_every_file_that_the_page_names_is_served(page: httpx.AsyncClient) -> None:
    index = await page.get("/")
    assert index.headers["content-type"].startswith("text/html")
    named = set(re.findall(r'(?:src|href)="([\w.-]+\.\w+)"', index.text)) - {"openapi.json"}
    for script in WEB.glob("*.js"):
        named |= set(re.findall(r'from "\./([\w.-]+)"', script.read_text()))
    assert {"chat.js", "chat.css", "conversation.js"} <= named
    for name in named:
        assert (await page.get(f"/{name}")).content == (WEB / name).read_bytes()


async def test_scripts_are_sent_as_scripts(page: httpx.AsyncClient) -> None:
    assert (await page.get("/chat.js")).headers["content-type"].startswith("text/javascript")


async def test_the_page_may_load_and_call_nothing_elsewhere(page: httpx.AsyncClient) -> None:
    policy = (await page.get("/")).headers["content-security-policy"]
    sources = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
    assert sources["default-src"] == ["'none'"]
    assert all(set(allowed) <= {"'self'", "'none'"} for allowed in sources.values())


async def test_nothing_but_the_page_is_served(page: httpx.AsyncClient) -> None:
    assert (await page.get("/__init__.py")).status_code == 404
