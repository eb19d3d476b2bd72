"""Changes of DynamoDB tables, from stream records to events."""
