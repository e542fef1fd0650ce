"""Vectors of texts from Titan Text Embeddings on Amazon Bedrock.

Needs bedrock:InvokeModel on the model. The model takes at most 8,192 tokens, and about as many
letters where they are Japanese: longer texts are cut.
"""

import asyncio
import math
from urllib.parse import quote

import msgspec

from adapters.aws_http import AwsHttp, timely
from config.models import Embedding
from domain.errors import Transient
from domain.search import Vector

SERVICE = "bedrock-runtime"
OPERATION = "InvokeModel"
MAX_CHARS = 8000
NORM_TOLERANCE = 0.01


class _Answer(msgspec.Struct):
    embedding: list[float]


class BedrockEmbeddings:
    """Implements `domain.search.Embedder`."""

    def __init__(self, http: AwsHttp, row: Embedding) -> None:
        self.dimensions: int = row.dimensions
        self.min_similarity = row.min_similarity
        self._http = http
        self._path = f"/model/{quote(row.id, safe='')}/invoke"

    async def embed(self, text: str, seconds: float) -> Vector:
        """The vector of a text; raises Transient or Permanent."""
        deadline = asyncio.get_running_loop().time() + seconds
        body = msgspec.json.encode(
            {"inputText": text[:MAX_CHARS], "dimensions": self.dimensions, "normalize": True}
        )
        async with (
            self._http.post(OPERATION, self._path, body, deadline=deadline) as response,
            timely(deadline, SERVICE),
        ):
            answer = await response.read()
        try:
            vector = msgspec.json.decode(answer, type=_Answer).embedding
        except msgspec.DecodeError as error:
            raise _unusable() from error
        norm = math.sqrt(math.fsum(value * value for value in vector))
        if len(vector) != self.dimensions or abs(norm - 1) > NORM_TOLERANCE:
            raise _unusable()
        return vector


def _unusable() -> Transient:
    return Transient(f"{SERVICE} sends no vector that can be used", dependency=SERVICE)
