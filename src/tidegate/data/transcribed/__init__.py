"""Signals and what is said or written in them: sound, lines of text as images, and features of either."""
