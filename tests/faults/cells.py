"""The fault matrix as a table: every fault that the kit strikes with, by what it strikes.

Names begin with the row of the matrix: R Redis, Q SQS, D DynamoDB, F the feature store, K Kinesis,
C CloudWatch Logs, O search, L models, X keys of tokens, P processes.
"""

from collections.abc import Sequence

from tests.faults.answering_cells import of_features, of_keys, of_models, of_search
from tests.faults.dependency_cells import of_redis, of_sqs, of_stores
from tests.faults.process_cells import of_failpoints, of_processes
from tests.faults.running import Cell


def cells() -> Sequence[Cell]:
    """All of them."""
    return [
        *of_redis(), *of_sqs(), *of_stores(), *of_features(), *of_search(), *of_models(),
        *of_keys(), *of_processes(), *of_failpoints(),
    ]  # fmt: skip
