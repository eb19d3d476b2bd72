"""Findings about the resources that a deployment owns (cfn/): what is missing, wrong or not to be seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError

from schemas.aws_errors import aws_errors
from schemas.errors import ConfigurationError

REPORTING = "cfn/stream.yaml"
SOURCE = "cfn/source.yaml"
TABLES = "tables.yaml of `headwater cfn render`, or whatever created the table"

_ABSENT = {
    *("NoSuchBucket", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"),
    "ResourceNotFoundException",
}


class Deployed:
    """Collects problems, so that one attempt shows all of them. Never creates or changes anything."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    @contextmanager
    def check(self, resource: str, template: str) -> Iterator[None]:
        """Note a missing resource, or the block's ConfigurationError, as a problem of this template.

        Raises TransientError.
        """
        try:
            with aws_errors(f"looking at the {resource}"):
                yield
        except (ConfigurationError, ClientError) as error:
            text = f"the {resource} does not exist" if _is_absent(error) else str(error)
            problem = f"{text} ({template})"
            if problem not in self.problems:  # as of a bucket, which is looked at for several reasons
                self.problems.append(problem)

    def require(self) -> None:
        """Raise ConfigurationError if there are problems."""
        if self.problems:
            raise ConfigurationError(
                "these resources are missing or wrong, and are not created here:\n"
                + "".join(f"  {problem}\n" for problem in self.problems)
                + "Deploy the template in parentheses, or correct the names: `headwater env --stack NAME` "
                "prints those of a deployed stack"
            )


def _is_absent(error: Exception) -> bool:
    answer = error if isinstance(error, ClientError) else error.__cause__
    return isinstance(answer, ClientError) and answer.response.get("Error", {}).get("Code") in _ABSENT
