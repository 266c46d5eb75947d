"""The kinds of task that are more than a function called once: commands and containers, waits, approvals."""
