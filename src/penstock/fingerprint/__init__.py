"""What makes two computations the same: canonical framing of values, identity of code and of environments."""
