"""Sensors: operators that wait. Each says by `poke` whether what it waits for is there, and holds no worker in between."""
