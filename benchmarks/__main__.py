"""Answer every question, one after the other, and draw the chart of the README."""

from __future__ import annotations

from benchmarks import chart, training_step
from tidegate import kernels

for cell, hidden in (("lstm", 32), ("lstm", 64), ("gru", 32), ("rnn", 32)):
    training_step.compare(cell, hidden, rounds=10, threads=kernels.get_num_threads())
chart.main()
