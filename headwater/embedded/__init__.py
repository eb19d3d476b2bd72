"""The embedded AWS: moto's server in a child process, with its state on disk."""
