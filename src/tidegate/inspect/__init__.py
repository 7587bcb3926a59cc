"""Looking at what was trained: learning curves and reports."""
