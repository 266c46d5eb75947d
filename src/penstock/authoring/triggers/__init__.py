"""What starts runs, as it is written in Python: schedules, events, sensors, and what they start."""
