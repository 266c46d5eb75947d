"""Commands and containers: a program run with inputs, and what becomes of what it leaves."""
