"""A report's file, read: what it may say, and which of its rows a change of staging touches."""
