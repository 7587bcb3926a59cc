"""Which token comes next: reading, network, texts that are written, gaps that are filled, scores."""
