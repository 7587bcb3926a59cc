"""How series go on: windows, network, forecasts, live series, scores."""
