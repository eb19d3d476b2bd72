"""The embedded AWS: moto's server in a process of its own, and its state on disk."""
