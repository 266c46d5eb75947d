"""What makes computations different from one another, told to people: accounts of attempts, and their differences."""
