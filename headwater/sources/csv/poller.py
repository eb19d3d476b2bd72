"""A poller that hands SQS messages to the CSV producer's Lambda handler, like an event source mapping."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from headwater.polling.lambda_events import Handler, sqs_event
from headwater.polling.runtime import Found
from headwater.polling.runtime_report import Side
from schemas.aws_errors import aws_errors
from schemas.errors import TransientError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_MAX_MESSAGES = 10  # the limit of ReceiveMessage
# Visibility timeout in seconds. A file that takes longer is delivered twice, which is harmless (INV-2).
HIDDEN_SECONDS = 300
_LONGEST_PAUSE = 60  # seconds before a file that failed is tried again


class QueuePoller:
    """Deliver every message of the queue. SQS repeats what the handler does not acknowledge (INV-1)."""

    name = "csv"
    side: Side = "source"

    def __init__(self, sqs: SQSClient, queue_url: str, queue_arn: str, handler: Handler) -> None:
        self._sqs = sqs
        self._url = queue_url
        self._arn = queue_arn
        self._handler = handler
        self._all_back_at = time.time() + HIDDEN_SECONDS
        self._put_back_any = False

    def poll(self, since: float) -> Found:  # noqa: ARG002 - an empty queue is level whatever the time
        received = self._receive()
        if not received:
            hidden = self._hidden()
            return Found(0, level=hidden == 0, problem=self._whose(hidden) if hidden else None)
        failed = self._deliver(received)
        problem = f"{len(failed)} files were not published" if failed else None
        if problem and len(failed) == len(received):
            raise TransientError(problem)
        return Found(len(received) - len(failed), level=False, problem=problem)

    def _receive(self) -> list[Any]:
        with aws_errors(f"ReceiveMessage of {self._url}"):
            answer = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=_MAX_MESSAGES,
                VisibilityTimeout=HIDDEN_SECONDS,
                AttributeNames=["ApproximateReceiveCount"],
            )
        return list(answer.get("Messages", []))

    def _deliver(self, received: list[Any]) -> list[Any]:
        """Delete the messages that the handler accepted; put the others back and return them.

        Raises what the handler raises.
        """
        try:
            answer = self._handler(sqs_event(received, self._arn), None)
        except TransientError:
            self._put_back(received)
            raise
        refused = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        failed = [one for one in received if one["MessageId"] in refused]
        self._put_back(failed)
        for one in received:
            if one["MessageId"] not in refused:
                with aws_errors(f"DeleteMessage of {self._url}"):
                    self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=one["ReceiptHandle"])
        return failed

    def _put_back(self, failed: list[Any]) -> None:
        """Make the messages visible again, each time after a longer pause, so that others come first."""
        self._put_back_any = self._put_back_any or bool(failed)
        for one in failed:
            with aws_errors(f"ChangeMessageVisibility of {self._url}"):
                self._sqs.change_message_visibility(
                    QueueUrl=self._url,
                    ReceiptHandle=one["ReceiptHandle"],
                    VisibilityTimeout=_pause(int(one["Attributes"]["ApproximateReceiveCount"])),
                )

    def _whose(self, hidden: int) -> str | None:
        """Describe messages that an earlier run received and that are still hidden, if these are such."""
        if time.time() > self._all_back_at or self._put_back_any:
            return None
        at = datetime.fromtimestamp(self._all_back_at, UTC).strftime("%H:%M:%S UTC")
        return f"an earlier run had taken {hidden} files: hidden in their queue, they come back by {at}"

    def _hidden(self) -> int:
        """Return the number of messages that were received and are neither deleted nor visible again."""
        with aws_errors(f"GetQueueAttributes of {self._url}"):
            answer = self._sqs.get_queue_attributes(
                QueueUrl=self._url, AttributeNames=["ApproximateNumberOfMessagesNotVisible"]
            )
        return int(answer["Attributes"]["ApproximateNumberOfMessagesNotVisible"])


def _pause(attempts: int) -> int:
    """Return the seconds before the next attempt: 0 at first, then doubling up to a minute."""
    return min(_LONGEST_PAUSE, (1 << min(attempts, 10)) // 8)
