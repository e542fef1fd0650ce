"""Values as DynamoDB takes them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef


def number(value: float) -> "AttributeValueTypeDef":
    """A number, to the last digit."""
    return {"N": repr(value)}
