"""A number for each text, such as a number of stars: the toy that follows the recipe for a task."""
