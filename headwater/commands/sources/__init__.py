"""Commands that send data to a source, or publish what it holds."""
