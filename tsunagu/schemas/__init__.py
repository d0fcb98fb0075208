"""What the data is: pure functions and frozen records; imports nothing else of ours."""
