"""Deployed stacks, and the states in which CloudFormation refuses to update one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from headwater.deployment.templates import Template

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
_REFUSING = {
    "ROLLBACK_COMPLETE": (
        "its first deployment failed: read the cause in its events, delete the stack, remove or import what "
        "it retained, and deploy again"
    ),
    "ROLLBACK_FAILED": "its first deployment failed, and was not undone completely: delete the stack",
    "DELETE_FAILED": "it could not be deleted: its events name what is in the way; delete it again",
    "UPDATE_ROLLBACK_FAILED": (
        "an update could not be undone: correct the cause that its events name, then "
        "`aws cloudformation continue-update-rollback`"
    ),
}
_REVIEW = "REVIEW_IN_PROGRESS"  # a change set for a stack without resources, which was never executed


@dataclass(frozen=True, slots=True)
class DeployedStack:
    """A stack as CloudFormation describes it."""

    name: str
    status: str
    changed_at: datetime
    """When it was last updated, or else created."""
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    outputs: Mapping[str, str]
    template: Template

    @property
    def is_empty(self) -> bool:
        """True if it owns no resources: its creation was only planned, or failed and was undone."""
        return self.status in (_REVIEW, "ROLLBACK_COMPLETE")


def refusal(status: str) -> str | None:
    """Return why a stack in this state cannot be deployed now, and what to do; None if it can."""
    if status != _REVIEW and status.endswith("_IN_PROGRESS"):
        return "an operation is running: wait until it has ended"
    return _REFUSING.get(status)
