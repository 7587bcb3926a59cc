"""Follows the recipes of CONTRIBUTING in a copy of the tree, with toys, and lets the copy test what it was given."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from surroundings import absent

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "tests" / "recipes"

# The editable install leads every import of Tidegate to this tree; what runs in the copy shall find the copy.
HERE_ALONE = 'import sys\nsys.meta_path[:] = [each for each in sys.meta_path if "Scikit" not in type(each).__name__]\n'


@dataclass
class Copy:
    """A copy of the tree that is edited, built for one instruction set, and run."""

    root: Path
    edited: list[str] = field(default_factory=list)

    @classmethod
    def of_the_tree(cls, root: Path) -> Copy:
        skip = shutil.ignore_patterns("__pycache__", "*.so", "build", ".*")
        for folder in ("core", "src", "tests"):
            shutil.copytree(ROOT / folder, root / folder, ignore=skip)
        for file in ("CMakeLists.txt", "pyproject.toml"):
            shutil.copy(ROOT / file, root)
        (root / "site").mkdir()
        (root / "site/sitecustomize.py").write_text(HERE_ALONE)
        return cls(root)

    def add(self, file: str, source: Path) -> None:
        """Put a new file into its place."""
        assert not (self.root / file).exists()
        shutil.copy(source, self.root / file)
        self.edited.append(file)

    def edit(self, file: str, *changes: tuple[str, str]) -> None:
        """Put text in front of a line that stands there once, or of several."""
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        for before, more in changes:
            assert text.count(before) == 1, f"{file} has {text.count(before)} times: {before}"
            text = text.replace(before, more + before)
        path.write_text(text, encoding="utf-8")
        self.edited.append(file)

    def build(self) -> None:
        """Compile the core for the scalar instruction set alone, which takes the least."""
        tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        if not (shutil.which("cmake", path=tools) and shutil.which("ninja", path=tools)):
            absent("cmake and ninja build the core, and are not here; run make test, which installs them")
        options = ["-DTIDEGATE_ISAS=scalar", f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=Release"]
        environment = os.environ | {"PATH": tools}
        if shutil.which("ccache", path=tools):
            options += ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"]
            environment |= {"CCACHE_BASEDIR": str(self.root), "CCACHE_NOHASHDIR": "1"}
        build = self.root / "build"
        self._call(["cmake", "-G", "Ninja", "-S", str(self.root), "-B", str(build), *options], environment)
        self._call(["cmake", "--build", str(build), "--target", "_core"], environment)
        [core] = build.glob("_core*.so")
        shutil.copy(core, self.root / "src/tidegate")

    def python(self, *arguments: str) -> str:
        """Run Python where Tidegate is the copy; return what it printed."""
        path = os.pathsep.join([str(self.root / "site"), str(self.root / "src"), str(self.root / "tests")])
        environment = {name: value for name, value in os.environ.items() if name != "TIDEGATE_ISA"}
        return self._call([sys.executable, *arguments], environment | {"PYTHONPATH": path})

    def _call(self, command: list[str], environment: dict[str, str]) -> str:
        done = subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=500, check=False
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout


CELL_IN_THE_REFERENCE = (
    (
        "        else:\n            run.hn = np.tanh(a + r) if",
        """        elif cell == "mgu":
            z, q = sigmoid((a + r)[:H]), r[H:]
            n = np.tanh(a[H:] + z * q)
            run.hn = (1 - z) * n + z * before
            run.gates[t], run.memo[t] = np.concatenate([z, n]), q
""",
    ),
    (
        "        else:\n            da = total * (1 - run.h[t] ** 2) if",
        """        elif cell == "mgu":
            z, n = np.split(run.gates[t], 2)
            dn = total * (1 - z) * (1 - n**2)
            dz = (dn * run.memo[t] + total * (before - n)) * z * (1 - z)
            da = np.concatenate([dz, dn])
            dr = np.concatenate([dz, dn * z])
            passed = total * z
""",
    ),
)
CELL_IN_THE_TABLE = """    [] {
      CellTraits t{};
      t.name = t.option = "mgu";
      t.gates = 2;
      t.letters = "zn";
      t.tanh = "n";
      t.shared = 1;
      t.keeps = 0;
      t.lets_in = -1;
      return t;
    }(),
"""
CELL_IN_TORCH = """def _mgu(from_x: Tensor, from_h: Tensor, state: State) -> State:
    x, h = _gates(from_x, 2), _gates(from_h, 2)
    z = torch.sigmoid(x[0] + h[0])
    return ((1 - z) * torch.tanh(x[1] + z * h[1]) + z * state[0],)


"""

TRAIN = """
import json
import numpy as np
import torch
import tidegate as tg
from tidegate import kernels
from tidegate.network import Network, Recurrent
from tidegate.nn import build

layer = build(Network.of(Recurrent(cell="mgu", input_size=2, hidden_size=3, bidirectional=True))).double()
offsets = torch.tensor([0, 3, 3, 5])
names = [name for name, _ in layer.named_parameters()]

def run(x, *weights):
    return torch.func.functional_call(layer, dict(zip(names, weights)), (tg.Ragged(x, offsets),)).values

inputs = (torch.randn(5, 2, dtype=torch.float64, requires_grad=True), *layer.parameters())
assert torch.autograd.gradcheck(run, inputs)
assert torch.autograd.gradgradcheck(run, inputs)
by_kernel = torch.autograd.grad(run(*inputs).square().sum(), inputs)
by_equations = torch.autograd.grad(run(*inputs).square().sum(), inputs, create_graph=True)
torch.testing.assert_close(by_equations, by_kernel)

rng = np.random.default_rng(0)
x = [rng.standard_normal((int(length), 2)).astype(np.float32) for length in rng.integers(3, 9, 200)]
y = ["up" if rows[0, 0] > 0 else "down" for rows in x]
model = tg.SequenceClassifier(cell="mgu", hidden_size=12, epochs=12, batch_size=20, learning_rate=0.02, seed=1)
model.fit(x, y).save("model.safetensors")
loaded = tg.load("model.safetensors")
told = {"right": float(np.mean(np.array(loaded.predict(x)) == np.array(y))), "isas": kernels.available_isas()}
print(json.dumps(told))
"""


def test_a_cell_of_two_gates_is_six_edits(tmp_path: Path) -> None:
    copy = Copy.of_the_tree(tmp_path)
    copy.edit("tests/reference.py", *CELL_IN_THE_REFERENCE)
    copy.add("core/cells/mgu.h", RECIPES / "mgu.h")
    copy.edit("core/cells/cells.h", ("};\n\nconstexpr int kCells", CELL_IN_THE_TABLE))
    copy.edit("core/kernels.cc", ('#include "cells/rnn.h"', '#include "cells/mgu.h"\n'))
    copy.edit("src/tidegate/cells.py", *[(f"]\n{next_line}", ', "mgu"') for next_line in ("CellOption", '"""What the')])
    copy.edit("src/tidegate/nn/equations.py", ("STEPS: dict", CELL_IN_TORCH), ('}\n"""A step of', '    "mgu": _mgu,\n'))
    assert len(copy.edited) == len(set(copy.edited)) == 6
    copy.build()
    copy.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/kernels/test_layers.py", "-k", "mgu")
    copy.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_cells.py", "tests/laws/test_rooms.py")
    told = json.loads(copy.python("-c", TRAIN).splitlines()[-1])
    assert told["right"] > 0.9
    assert told["isas"] == ["scalar"]
