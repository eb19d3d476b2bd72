"""Commands of a deployment on AWS: `headwater cfn`, `headwater deploy`, `headwater env`."""
