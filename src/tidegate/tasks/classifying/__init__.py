"""One label for each sequence, of texts and of features: reading, network, scores."""
