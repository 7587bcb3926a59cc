"""Sound, lines of writing and features of either, and the text that they spell."""
