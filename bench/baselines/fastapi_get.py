"""FastAPI and redis-py: GET of one stored answer, and nothing else."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request, Response
from redis.asyncio import Redis

KEY = os.environ["BENCH_KEY"]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One pool of connections for the process."""
    async with Redis.from_url(os.environ["BENCH_REDIS_URL"]) as client:
        app.state.redis = client
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/answer")
async def answer(request: Request) -> Response:
    """The stored JSON as it is."""
    client: Redis = request.app.state.redis
    body = await client.get(KEY)
    if body is None:
        raise HTTPException(404)
    return Response(body, media_type="application/json")
