"""One language into another, or symbols into symbols: network, reading, search, answers, scores."""
