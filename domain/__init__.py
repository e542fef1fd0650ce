"""What is true of the store and its messages: pure Python, no I/O, no third party."""
