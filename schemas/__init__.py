"""The contract between all parts: events, frames, payloads, entities. Pure: no AWS, no SQL."""
