"""The contract: events, frames, payload codec, entities. Pure: no AWS, no SQL."""
