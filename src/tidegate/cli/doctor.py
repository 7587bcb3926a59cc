"""`tidegate doctor`: what runs here, and with what; what workers would run on, and what they would bring."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from tidegate.cli.crew import KeyFile, Listen, Timeout, Workers, crew_of
from tidegate.cli.options import ClusterAt, Json
from tidegate.cli.output import emit_json, emit_table, emit_tree

if TYPE_CHECKING:
    from tidegate.scale.survey import Survey


def doctor(
    workers: Workers = None,
    listen: Listen = None,
    key_file: KeyFile = None,
    timeout: Timeout = None,
    cluster: ClusterAt = None,
    json: Json = False,
) -> None:
    """Show what runs here, and with what.

    Versions, instruction set, threads, torch build and data folders.

    With workers, which are named as for `tidegate train`: what each runs on, what lies between them, a step of a known
    training by one and by all, and how many times as fast as one more of them would be.

    Examples:
      tidegate doctor
      tidegate doctor --json
      tidegate doctor --cluster auto
      tidegate doctor --workers 3 --listen 10.0.0.1:7432 --key-file key
    """
    from tidegate import runs

    with crew_of(workers, timeout, listen, key_file, cluster) as crew:
        if crew is not None:
            from tidegate.scale.survey import survey

            _show(survey(crew), json)
            return
    found = runs.describe_environment()
    if json:
        emit_json(found)
    else:
        emit_tree(found)
    if "error" in found["kernels"]:
        raise typer.Exit(1)


def _show(found: "Survey", json: bool) -> None:
    """Print what workers are and bring."""
    expected, bearable = found.expected(), found.bearable()
    if json:
        emit_json({**asdict(found), "exchange": found.exchange, "expected": expected, "bearable": bearable})
        return
    emit_table(_turned(found.machines))
    if found.ways:
        print()
        emit_table(
            [
                {
                    "workers": "{} and {}".format(*way.workers),
                    "latency, ms": f"{1e3 * way.latency:.2f}",
                    "MB/s each way": f"{way.bandwidth / 1e6:.0f}",
                    f"exchange of {found.sent / 1e6:.2f} MB, ms": f"{1e3 * way.exchange:.2f}",
                }
                for way in found.ways
            ]
        )
    print()
    steps = {"worker 0 alone": found.alone, "of which each repeats": found.repeated, "all together": found.together}
    emit_tree({"ms of a step": {name: f"{1e3 * seconds:.1f}" for name, seconds in steps.items()}})
    print(f"\n{len(found.machines)} workers are {found.alone / found.together:.2f} times as fast as one. Expected:\n")
    emit_table(
        [
            {
                "workers like worker 0": count,
                "times as fast": f"{expected[count]:.2f}",
                "break even at, ms of an exchange": f"{1e3 * bearable[count]:.2f}",
            }
            for count in expected
        ]
    )


def _turned(machines: "tuple[Any, ...]") -> list[dict[str, object]]:
    """Give a row for each thing that is told of machines, and a column for each machine."""
    return [
        {"": name, **{f"worker {machine['worker']}": machine[name] for machine in machines}}
        for name in machines[0]
        if name != "worker"
    ]
