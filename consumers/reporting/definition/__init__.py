"""Definition of a report: parse its file, check its SELECT, and derive which rows a change of staging
affects."""
