"""What does one answer take: disk, memory, and time from the start of the process, beside PyTorch and ONNX Runtime?

A text classifier with 20,000 words, a BiLSTM with 64 units and two classes, its weights drawn at random. Tidegate runs
in an environment with nothing but the base package and what that asks for, made anew; the size on disk is that of the
files of each package, without the bytecode that Python writes later. The others run in the environment of the rivals,
with the same tokenizer and weights. Each process starts, loads, answers one text and waits: the time is until its
answer comes, the memory what is resident then. All must give the same probabilities.

    python -m benchmarks.footprint [--rounds 10] [--numpy WHEEL]

With another wheel of NumPy, such as one that was built without BLAS, the table is printed and nothing is kept.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from benchmarks import command
from benchmarks.race import PEERS, ROOT
from benchmarks.record import OURS, machine, save
from benchmarks.tables import rows
from benchmarks.work import Array, Job, draw_weights, suffixes
from tidegate.checkpoint import save_model
from tidegate.data.tokenizer import train_words
from tidegate.network import Dense, Embed, Network, Pool, Recurrent
from tidegate.tasks import TextClassifier

WORDS, HIDDEN, TOLERANCE = 20_000, 64, 1e-5
TEXT = "so this is the film that word17 said word1234 about , and word19000 was right"
LEAST_SHOWN = 1.0  # megabytes; smaller packages are summed up
BLAS = "numpy's OpenBLAS"
NEEDED = (
    "tidegate", "numpy", BLAS, "safetensors", "tokenizers", "pydantic", "pydantic_core", "annotated-types",
    "typing-inspection", "typing_extensions",
)  # fmt: skip
"""What is imported to load a model and predict; tests/laws/test_base_install.py knows the rest to be left alone."""
SIZES = f"""
import json
from importlib.metadata import distributions
sizes = {{}}
for package in distributions():
    for file in package.files or ():
        name = {BLAS!r} if "numpy.libs" in file.parts else package.name
        if file.suffix != ".pyc" and package.locate_file(file).is_file():
            sizes[name] = sizes.get(name, 0) + package.locate_file(file).stat().st_size / 1e6
print(json.dumps(sizes))
"""


def run(rounds: int, threads: int, numpy: Path | None = None) -> None:
    """Install, write the models, start each engine in every round, print tables and keep the samples."""
    where = machine(threads)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        python = install(folder, numpy)
        sizes: dict[str, float] = json.loads(output(python, "-c", SIZES))
        output(python, "-m", "compileall", "-q", python.parents[1] / "lib")
        write_models(folder, threads)
        engines = {OURS: (str(python), "with_tidegate"), "onnxruntime": (str(PEERS), "with_onnxruntime")}
        engines["torch"] = (str(PEERS), "with_pytorch")
        seconds, mebibytes = race(engines, folder, rounds)
    figures = {
        "MB installed": sum(sizes.values()),
        "MB of what predicting imports": sum(sizes.get(name, 0.0) for name in NEEDED),
        "MB resident": statistics.median(mebibytes[OURS]) * 2**20 / 1e6,
        "seconds to the first answer": statistics.median(seconds[OURS]),
    }
    setting = {"cell": "lstm", "hidden": HIDDEN, "directions": 2, "words": WORDS}
    start = {"seconds": seconds, "mebibytes": mebibytes}
    if numpy is None:
        save("footprint", __doc__, where, setting=setting, megabytes=sizes, start=start, figures=figures)
    print(table(sizes, seconds, mebibytes) + "\n")


def install(folder: Path, numpy: Path | None) -> Path:
    """Make an environment with the base package alone, and return its interpreter."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    output(*pip, "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("tidegate-*.whl")
    venv.create(folder / "venv", with_pip=False)
    python = folder / "venv" / "bin" / "python"
    output(*pip, f"--python={python}", "install", "--no-compile", wheel, *filter(None, [numpy]))
    return python


def write_models(folder: Path, threads: int) -> None:
    """Write one classifier in the form that each engine reads."""
    spelled = " ".join(f"word{number}" for number in range(WORDS))
    tokenizer = train_words([f"{TEXT} " * 2 + spelled], WORDS)
    (folder / "tokenizer.json").write_text(tokenizer.to_json(), encoding="utf-8")
    arrays = draw_weights("lstm", HIDDEN, HIDDEN, 2)
    arrays["table"] = np.random.default_rng(1).standard_normal((WORDS, HIDDEN)).astype(np.float32)
    np.savez(folder / "work.npz", **arrays)  # type: ignore[arg-type]
    job = Job("lstm", HIDDEN, HIDDEN, 2, threads, str(folder / "work.npz"))
    layer = {
        f"{name}_l0{suffix}": arrays[short + suffix]
        for suffix in suffixes(job)
        for name, short in {"weight_ih": "w_ih", "weight_hh": "w_hh", "bias_ih": "b_ih", "bias_hh": "b_hh"}.items()
    }
    ends = {name: arrays[name] for name in ("table", "head", "head_bias")}
    save_file(ends | {f"layer.{name}": array for name, array in layer.items()}, folder / "weights.safetensors")
    save_ours(folder / "model.safetensors", arrays, layer, tokenizer.to_json())
    if PEERS.exists():
        output(PEERS, "-m", "benchmarks.cold.write_graph", job.to_json(), folder / "model.onnx")


def save_ours(path: Path, arrays: dict[str, Array], layer: dict[str, Array], tokenizer: str) -> None:
    network = Network.of(
        Embed(vocabulary_size=WORDS, size=HIDDEN),
        Recurrent(cell="lstm", input_size=HIDDEN, hidden_size=HIDDEN, bidirectional=True),
        Pool(modes=("max",)),
        Dense(in_features=2 * HIDDEN, out_features=2),
    )
    weights = {"0.weight": arrays["table"], "3.weight": arrays["head"], "3.bias": arrays["head_bias"]}
    weights |= {f"1.{name}": array for name, array in layer.items()}
    params = TextClassifier().get_params() | {"pooling": ["max"], "embedding_size": HIDDEN}
    learned = {"classes": ["neg", "pos"], "preparation": {"tokenizer": tokenizer}}
    save_model(path, network, weights=weights, task={"name": TextClassifier.name, "params": params, **learned})


def race(
    engines: dict[str, tuple[str, str]], folder: Path, rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Start each engine once in every round, the first of which is not counted: it warms the disk's cache."""
    seconds: dict[str, list[float]] = {}
    mebibytes: dict[str, list[float]] = {}
    present = {name: how for name, how in engines.items() if Path(how[0]).exists()}
    for number in range(rounds + 1):
        answers = {}
        for name, (python, script) in present.items():
            answers[name], taken, resident = begin(python, script, folder)
            if number:
                seconds.setdefault(name, []).append(taken)
                mebibytes.setdefault(name, []).append(resident)
        for name, answer in answers.items():
            if not np.allclose(answer, answers[OURS], rtol=0, atol=TOLERANCE):
                raise RuntimeError(f"{name} answers {answer}, Tidegate {answers[OURS]}.")
    return seconds, mebibytes


def begin(python: str, script: str, folder: Path) -> tuple[list[float], float, float]:
    """Start one process; return its probabilities, the seconds until they came, and its resident mebibytes then."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [python, ROOT / "benchmarks" / "cold" / f"{script}.py", folder, TEXT],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    answer = [float(share) for share in process.stdout.readline().split()]
    taken = time.perf_counter() - started
    status = Path(f"/proc/{process.pid}/status").read_text()
    process.stdin.close()
    process.wait()
    return answer, taken, int(status.partition("VmRSS:")[2].split()[0]) / 1024


def output(*arguments: object) -> str:
    """Run a command that must succeed, and return what it printed."""
    return subprocess.run([*map(str, arguments)], check=True, capture_output=True, text=True, cwd=ROOT).stdout


def table(sizes: dict[str, float], seconds: dict[str, list[float]], mebibytes: dict[str, list[float]]) -> str:
    """Write the medians of each engine, and the packages by size."""
    medians = {name: (statistics.median(taken), statistics.median(mebibytes[name])) for name, taken in seconds.items()}
    ours = medians[OURS][0]
    engines = [
        [name, f"{taken:.2f}", f"{taken / ours:.2f}", f"{resident * 2**20 / 1e6:.0f}"]
        for name, (taken, resident) in medians.items()
    ]
    large = {name: size for name, size in sorted(sizes.items(), key=lambda item: -item[1]) if size >= LEAST_SHOWN}
    rest = sum(sizes.values()) - sum(large.values())
    packages = [[name, f"{size:.1f}", "yes" if name in NEEDED else ""] for name, size in large.items()]
    packages += [
        [f"{len(sizes) - len(large)} others", f"{rest:.1f}", ""],
        ["together", f"{sum(sizes.values()):.1f}", ""],
        ["what predicting imports", f"{sum(sizes.get(name, 0.0) for name in NEEDED):.1f}", ""],
    ]
    head = ["engine", "seconds to the first answer", "time / Tidegate's", "MB resident"]
    return rows(head, engines) + "\n\n" + rows(["package of the base install", "MB", "to predict"], packages)


def main() -> None:
    """Answer the question."""
    parser = command.parser(__doc__)
    parser.add_argument("--numpy", type=lambda wheel: Path(wheel).resolve())
    args = parser.parse_args()
    run(args.rounds, args.threads, args.numpy)


if __name__ == "__main__":
    main()
