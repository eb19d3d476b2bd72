"""A deployment: its file, the CloudFormation files rendered from it, and its checks. Pure."""
