"""What a rate of events needs on AWS, and which limit it meets first. Pure: no call, no clock."""
