"""The log as replay reads it, and proofs of how far it was read."""
