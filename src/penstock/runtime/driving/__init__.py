"""The parts of the driver: what it knows of a run, and what it does with each instruction and report."""
