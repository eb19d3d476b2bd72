"""Pollers: what reads a queue or a stream and hands it to a handler, and the runtime that runs them."""
