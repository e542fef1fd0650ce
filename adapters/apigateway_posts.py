"""Frames to clients whose connections API Gateway holds.

Needs execute-api:ManageConnections; the address of the API's stage is the SDK's own variable,
AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI. A frame may be of 128 KB. Not idempotent: a post whose
reply was lost and is repeated shows the client a frame twice, which the event id in it tells.
"""

from botocore.exceptions import ClientError

from adapters.aws_clients import AwsClients
from adapters.aws_errors import code_of, translated

GONE = "GoneException"


class ApiGatewayPosts:
    """Both return False where the client has gone; they block, and raise Transient or Permanent."""

    def __init__(self, aws: AwsClients) -> None:
        self._aws = aws

    def post(self, connection_id: str, frame: bytes) -> bool:
        """Send a text frame."""
        with translated("apigateway"):
            try:
                self._aws.apigateway.post_to_connection(ConnectionId=connection_id, Data=frame)
            except ClientError as error:
                if code_of(error) != GONE:
                    raise
                return False
        return True

    def close(self, connection_id: str) -> bool:
        """End the connection."""
        with translated("apigateway"):
            try:
                self._aws.apigateway.delete_connection(ConnectionId=connection_id)
            except ClientError as error:
                if code_of(error) != GONE:
                    raise
                return False
        return True
