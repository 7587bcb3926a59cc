"""Scripts that start, load a text classifier from files, answer one text, and wait to be ended."""
