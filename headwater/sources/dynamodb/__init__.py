"""DynamoDB tables: their streams, and the poller that reads them."""
