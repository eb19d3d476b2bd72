"""Judgement of AWS calls by the policies of the templates: what a deployment would allow, and why."""
