"""A tag for each word of a sentence: reading, network, paths of tags, live sentences, scores."""
