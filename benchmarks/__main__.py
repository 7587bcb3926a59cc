"""Answer every question, one after the other, and write the report."""

from __future__ import annotations

import argparse

from benchmarks import (
    command,
    epoch,
    first_call,
    flair_tagger,
    footprint,
    import_time,
    inference,
    layer,
    look_inside,
    memory,
    report,
    scaling,
    stream_pool,
    stream_step,
    tagging,
    tokens,
    training_step,
)

QUESTIONS = (
    training_step,
    epoch,
    layer,
    inference,
    stream_step,
    stream_pool,
    look_inside,
    flair_tagger,
    tagging,
    scaling,
    memory,
    first_call,
    tokens,
    import_time,
    footprint,
)


def main() -> None:
    """Read the options and go through all questions."""
    args: argparse.Namespace = command.parser(__doc__).parse_args()
    for question in QUESTIONS:
        question.run(args.rounds, args.threads)
    report.main()


main()
