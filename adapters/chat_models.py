"""The chat models of this process, as `config/models.toml` declares them.

Models at one service share its connections. Belongs to one event loop.
"""

from adapters.aws_clients import AwsClients
from adapters.aws_http import AwsHttp
from adapters.bedrock_model import SERVICE as BEDROCK
from adapters.bedrock_model import BedrockModel
from adapters.sagemaker_model import SERVICE as SAGEMAKER
from adapters.sagemaker_model import SageMakerModel
from config.models import Model, Models
from domain.model import ChatModel
from domain.routing import Size


class ChatModels:
    """One model for each size of question."""

    def __init__(self, aws: AwsClients, table: Models) -> None:
        self._http = {service: AwsHttp(aws, service) for service in (BEDROCK, SAGEMAKER)}
        self._models = {
            Size.SMALL: self._made(table.models.small),
            Size.LARGE: self._made(table.models.large),
        }

    def of(self, size: Size) -> ChatModel:
        """The model for questions of this size."""
        return self._models[size]

    async def close(self) -> None:
        """Close every connection."""
        for http in self._http.values():
            await http.close()

    def _made(self, row: Model) -> ChatModel:
        if row.provider == "bedrock":
            return BedrockModel(self._http[BEDROCK], row.id, row.max_tokens, row.temperature)
        return SageMakerModel(self._http[SAGEMAKER], row.id, row.max_tokens, row.temperature)
