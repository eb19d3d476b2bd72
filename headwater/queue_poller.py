"""SQS to the CSV producer's Lambda handler, as an event source mapping does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headwater.lambda_events import Handler, sqs_event
from headwater.progress import Side
from headwater.runtime import Found
from schemas.aws_errors import aws_errors
from schemas.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_MOST = 10  # that ReceiveMessage gives
# Seconds in which nobody else gets what was received; a file that takes longer comes twice: harmless (INV-2).
_HIDDEN_SECONDS = 300


class QueuePoller:
    """All that the queue holds. What the handler does not acknowledge stays here until it does (INV-1)."""

    name = "csv"
    side: Side = "source"

    def __init__(self, sqs: SQSClient, queue_url: str, queue_arn: str, handler: Handler) -> None:
        self._sqs = sqs
        self._url = queue_url
        self._arn = queue_arn
        self._handler = handler
        self._waiting: list[Any] = []  # received, and not yet taken

    def poll(self, since: float) -> Found:  # noqa: ARG002 - an empty queue is level whatever the time
        if not self._waiting:
            self._waiting = self._receive()
        found = len(self._waiting)
        if found:
            self._deliver()
        return Found(found, level=found == 0 and self._hidden() == 0)

    def _receive(self) -> list[Any]:
        with aws_errors(f"ReceiveMessage of {self._url}"):
            answer = self._sqs.receive_message(
                QueueUrl=self._url, MaxNumberOfMessages=_MOST, VisibilityTimeout=_HIDDEN_SECONDS
            )
        return list(answer.get("Messages", []))

    def _deliver(self) -> None:
        answer = self._handler(sqs_event(self._waiting, self._arn), None)
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        for received in self._waiting:
            if received["MessageId"] not in failed:
                with aws_errors(f"DeleteMessage of {self._url}"):
                    self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=received["ReceiptHandle"])
        self._waiting = [received for received in self._waiting if received["MessageId"] in failed]
        if self._waiting:
            raise TransientError(f"{len(self._waiting)} files were not published")

    def _hidden(self) -> int:
        """Received by a runtime that was killed, and not yet given again."""
        with aws_errors(f"GetQueueAttributes of {self._url}"):
            answer = self._sqs.get_queue_attributes(
                QueueUrl=self._url, AttributeNames=["ApproximateNumberOfMessagesNotVisible"]
            )
        return int(answer["Attributes"]["ApproximateNumberOfMessagesNotVisible"])
