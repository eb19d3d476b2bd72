"""The local runtime: what Lambda and Firehose do in AWS, in one process."""
