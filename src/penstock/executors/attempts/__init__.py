"""One attempt: the function called, what it says gathered, its time and devices kept."""
