"""How long until `import tidegate` and `tidegate --help` are done, from the start of the process to its end?

Neither may load torch. The bare interpreter is timed beside them, as it is part of both.

    python -m benchmarks.import_time [--rounds 10]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from benchmarks import command
from benchmarks.record import machine, save
from benchmarks.tables import rows

COMMANDS = {
    "python": ["-c", "pass"],
    "import tidegate": ["-c", "import tidegate"],
    "tidegate.load": ["-c", "import tidegate; tidegate.load"],
    "tidegate --help": ["-m", "tidegate", "--help"],
}


def loads_torch(arguments: list[str]) -> bool:
    """Ask Python to list its imports, and look for torch among them."""
    done = subprocess.run([sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True)
    return any(line.rpartition("|")[2].strip() == "torch" for line in done.stderr.splitlines())


def run(rounds: int, threads: int) -> None:
    """Time the commands in turn, print a Markdown table and keep the samples."""
    where = machine(threads)
    torch = {name: loads_torch(arguments) for name, arguments in COMMANDS.items()}  # this also warms the disk cache
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            begin = time.perf_counter()
            subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
            seconds[name].append(time.perf_counter() - begin)
    figures = {f"seconds of {name}": statistics.median(values) for name, values in seconds.items()}
    save("import-time", __doc__, where, setting={}, commands=seconds, loads_torch=torch, figures=figures)
    print(table(seconds, torch) + "\n")


def table(seconds: dict[str, list[float]], torch: dict[str, bool]) -> str:
    """Write the median of each command."""
    body = [
        [f"`{name}`", f"{statistics.median(values):.3f}", "yes" if torch[name] else "no"]
        for name, values in seconds.items()
    ]
    return rows(["command", "seconds", "loads torch"], body)


def main() -> None:
    """Answer the question."""
    args = command.parser(__doc__).parse_args()
    run(args.rounds, args.threads)


if __name__ == "__main__":
    main()
