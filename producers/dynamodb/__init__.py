"""DynamoDB sources: stream records to events."""
