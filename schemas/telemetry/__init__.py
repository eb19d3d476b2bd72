"""Metrics and logs of the Lambda functions, as lines of JSON on stdout."""
