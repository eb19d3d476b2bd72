"""The deployment: CloudFormation templates, and the build of the Lambda packages."""
