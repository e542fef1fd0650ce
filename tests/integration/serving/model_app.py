"""The serving process of `serving_app.py` with a real catalogue, models and search at the wire.

    python -m tests.integration.serving.model_app PORT REDIS_URL JWKS_URL SPOOL AWS_URL [SEARCH_URL]

Simple questions go to Bedrock, hard ones to an endpoint of SageMaker, both at AWS_URL. Without
SEARCH_URL titles are searched in the process.
"""

import logging
import sys
from dataclasses import replace
from pathlib import Path

import msgspec

import config
from adapters.jsonl_catalogue import read_catalogue
from config.settings import Settings
from domain.catalogue import Catalogue
from serving import warming
from serving.main import model_parts, serve
from tests.chat_bench import ClientsAt
from tests.integration.serving.serving_app import parts_of

ALIAS = "titles-test"
SAMPLE = Path(config.__file__).parent / "sample_catalogue.jsonl"


class SampleCatalogue:
    def version(self) -> str | None:
        return "sample"

    def load(self) -> Catalogue:
        return Catalogue(read_catalogue(SAMPLE).catalogue.titles.values(), "sample")

    def publish(self, catalogue: Catalogue) -> bool:
        return False


def settings_of(settings: Settings, search_url: str) -> Settings:
    return msgspec.structs.replace(
        settings,
        pseudonym_key="secret",
        large_model="sagemaker:chat-large",
        opensearch_url=search_url,
        opensearch_alias=ALIAS,
    )


def main() -> None:
    # The calls of the models are counted: after the first none is to keep them warm.
    warming.AGAIN_SECONDS = warming.RETRY_SECONDS = 3600.0
    warming.FIRST_SECONDS = 60.0
    port, redis_url, jwks_url, spool, aws_url, *search_url = sys.argv[1:]
    logging.basicConfig(level="INFO")
    parts = parts_of(port, redis_url, jwks_url, spool)
    settings = settings_of(parts.settings, "".join(search_url))
    serve(
        replace(
            parts,
            settings=settings,
            catalogue=SampleCatalogue(),
            model=model_parts(settings, ClientsAt(aws_url)),
        )
    )


if __name__ == "__main__":
    main()
