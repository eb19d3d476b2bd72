"""Sleep out of hours: the calendar, and the function that starts and stops what needs the warehouse."""
