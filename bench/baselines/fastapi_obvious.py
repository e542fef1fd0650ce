"""The obvious implementation: FastAPI, redis-py GET, and four Celery tasks for each question.

The tasks are sent in a thread, so that the event loop is never blocked by SQS; the answer waits
for them, since a task that nobody has sent would be lost.
"""

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field
from redis.asyncio import Redis

from bench.baselines.stock_tasks import append_audit, emit_analytics, update_session, write_cache

KEY = os.environ["BENCH_KEY"]


class Question(BaseModel):
    """What a customer asks."""

    session_id: str
    message: str = Field(max_length=4000)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One pool of connections for the process."""
    async with Redis.from_url(os.environ["BENCH_REDIS_URL"]) as client:
        app.state.redis = client
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/v1/chat")
async def chat(question: Question, request: Request) -> Response:
    """Answer from Redis and send what follows from it."""
    client: Redis = request.app.state.redis
    body = await client.get(KEY)
    if body is None:
        raise HTTPException(404)
    event_id = str(uuid.uuid4())
    await run_in_threadpool(send_tasks, question, event_id)
    return Response(body, media_type="application/json", headers={"X-Event-Id": event_id})


def send_tasks(question: Question, event_id: str) -> None:
    """Session, analytics, cache write and audit."""
    update_session.apply_async((question.session_id, question.message, event_id))
    emit_analytics.apply_async((event_id, "answer.served"))
    write_cache.apply_async((KEY, event_id))
    append_audit.apply_async((event_id, question.session_id, "precomputed"))
