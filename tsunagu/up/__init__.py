"""`tsunagu up`: a broker and the servers it needs, on one command, for evaluation, development and tests."""
