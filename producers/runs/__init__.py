"""Runs: the rows that a source holds already, read in chunks and published so that a retry has equal bytes.

A run has segments, which are read side by side, and each segment has chunks, which follow each other. A chunk
is one object in the source bucket. It is written once, and published from what is stored (INV-5):

    read a page -> store its dead letters -> write the chunk -> publish its events -> flush -> the next page

So a chunk exists only if Kinesis has acknowledged the one before it (INV-1), and the last chunk of a segment
is all that is needed to go on after a kill: publish it again, and read on from the place that it names.
"""
