"""The format of the log of record: frames, aggregates, compression, and recovery after damage."""
