"""Conditional updates of the items of sessions, each of which makes the revision a greater one.

Raises ClientError; one that says that the conditions were not met brings the item along.
"""

from typing import TYPE_CHECKING, cast

from botocore.exceptions import ClientError

from adapters.aws_clients import AwsClients
from adapters.dynamodb_session_items import Stored, Update, stored
from domain.ports import Clock
from domain.sessions import Session

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import UpdateItemInputTypeDef

    from adapters.dynamodb_session_items import Attributes

MICROSECONDS = 1_000_000


class SessionWrites:
    """What writes the items of one table."""

    def __init__(self, aws: AwsClients, table: str, clock: Clock) -> None:
        self._aws = aws
        self._table = table
        self._clock = clock

    def revision(self) -> int:
        """The revision of what is written now, if nobody's clock is ahead."""
        return int(self._clock() * MICROSECONDS)

    def change(self, session_id: str, update: Update) -> Session:
        """The session after the update, of a revision that is greater than it ever was.

        It is by the clock, so that it is greater also than what the table has had and lost; where
        the table has a later one already it is one more than that.
        """
        revision = self.revision()
        try:
            return self._send(session_id, update.stamped(revision))
        except ClientError as error:
            found = found_by(error)
            if found is None or found.session.revision < revision:
                raise
        return self._send(session_id, update.counted())

    def prune(self, session_id: str, update: Update) -> None:
        """Drop what no reader is shown any more, which is no change to them."""
        self._aws.dynamodb.update_item(**self._request(session_id, update))

    def _send(self, session_id: str, update: Update) -> Session:
        request = self._request(session_id, update)
        request["ReturnValues"] = "ALL_NEW"
        request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        return stored(self._aws.dynamodb.update_item(**request)["Attributes"]).session

    def _request(self, session_id: str, update: Update) -> "UpdateItemInputTypeDef":
        return {
            "TableName": self._table,
            "Key": {"session_id": {"S": session_id}},
            "UpdateExpression": update.expression,
            "ConditionExpression": " AND ".join(update.conditions),
            "ExpressionAttributeNames": update.names,
            "ExpressionAttributeValues": update.values,
        }


def found_by(error: ClientError) -> Stored | None:
    """The item that did not meet the conditions, or None where there is no item."""
    item = cast("Attributes | None", error.response.get("Item"))
    return stored(item) if item else None
