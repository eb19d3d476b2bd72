"""The build of the Lambda packages, `make package` (docs/packages.md). It is in no package itself."""
