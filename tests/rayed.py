"""A cluster of Ray with two machines, as far as network namespaces are some; without them, one machine of its own.

Ray is begun with `--block`, and ended by its own process groups: `ray stop` would end every Ray of this machine.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

WHY_NOT = (
    "a cluster takes Ray (pip install 'tidegate[cluster]')"
    if find_spec("ray") is None
    else "a cluster of two machines takes root and iproute2"
    if os.geteuid() or shutil.which("ip") is None
    else ""
)
_STARTING = 600  # seconds: on a busy machine Ray takes minutes
_READY = b"Ray runtime started"
_PORT = 6379


@dataclass
class Machines:
    """Run commands on two machines, `a` with the head of the cluster and `b`, which are namespaces with a link."""

    folder: Path
    spaces: dict[str, str]
    environment: dict[str, str]
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    address = f"10.80.0.1:{_PORT}"

    def begin(self, where: str, *command: object) -> subprocess.Popen[str]:
        """Begin a command on a machine."""
        line = ["ip", "netns", "exec", self.spaces[where], *map(str, command)]
        pipe = subprocess.PIPE
        return subprocess.Popen(line, env=self.environment, cwd=self.folder, stdout=pipe, stderr=pipe, text=True)

    def tidegate(self, *argv: object, where: str = "a") -> subprocess.Popen[str]:
        """Begin the command line on a machine."""
        return self.begin(where, sys.executable, "-m", "tidegate", *argv)

    def call(self, *argv: object) -> str:
        """Carry a command line out on the machine with the head, and return what it said."""
        process = self.tidegate(*argv)
        out, said = process.communicate(timeout=900)
        assert process.returncode == 0, said
        return out + said

    def join(self, where: str) -> None:
        """Let a machine join the cluster, the one with the head first, and wait until it has."""
        number = {"a": 1, "b": 2}[where]
        role = [f"--address={self.address}"]
        if where == "a":
            role = ["--head", f"--port={_PORT}", "--include-dashboard=false", f"--temp-dir={self.folder}"]
        line = ["start", "--block", *role, f"--node-ip-address=10.80.0.{number}", "--num-cpus=1"]
        line += ["--object-store-memory=80000000", "--disable-usage-stats"]
        until = time.monotonic() + _STARTING
        while not self._start(where, line, until):
            pass

    def _start(self, where: str, line: list[str], until: float) -> bool:
        """Start Ray on a machine; False where it gave up, as it does after 30 s on a machine that is busy."""
        log = self.folder / f"{where}.log"
        enter = ["ip", "netns", "exec", self.spaces[where], str(Path(sys.executable).with_name("ray"))]
        with log.open("wb") as out:
            node = self.nodes[where] = subprocess.Popen(
                [*enter, *line], env=self.environment, cwd=self.folder, stdout=out, stderr=out, start_new_session=True
            )
        while _READY not in log.read_bytes():
            if node.poll() is not None:
                self.kill(where)
                return False
            told = f"machine {where} waited {_STARTING} s for {_READY.decode()!r}, and Ray said:"
            assert time.monotonic() < until, f"{told}\n{log.read_text()}"
            time.sleep(0.5)
        return True

    def kill(self, where: str) -> None:
        """Kill all processes of a machine, as if its power were cut."""
        told = subprocess.run(["ip", "netns", "pids", self.spaces[where]], capture_output=True, text=True, check=True)
        for process in map(int, told.stdout.split()):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if (node := self.nodes.pop(where, None)) is not None:
            node.wait()

    def lose_cluster(self) -> None:
        """Kill all of Ray on both machines, and leave what else runs on the one with the head."""
        os.killpg(self.nodes["a"].pid, signal.SIGKILL)
        self.kill("b")

    def busy(self, where: str) -> list[int]:
        """List the processes on a machine in which Ray calls something of ours."""
        told = subprocess.run(["ip", "netns", "pids", self.spaces[where]], capture_output=True, text=True, check=True)
        found = []
        for process in map(int, told.stdout.split()):
            with suppress(OSError):
                if b"ray::carry_out" in Path(f"/proc/{process}/cmdline").read_bytes():
                    found.append(process)
        return found


@contextmanager
def two_machines() -> Iterator[Machines]:
    """Make two machines and a cluster of them, and end all that runs on them with the block."""
    spaces = {name: f"tgr{os.getpid()}{name}" for name in "ab"}
    folder = Path(mkdtemp(prefix="tgr", dir="/tmp"))  # for paths of sockets must be short
    token = folder / "token"
    token.write_text(secrets.token_hex(32), encoding="ascii")
    tests = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": tests, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    environment |= {
        "RAY_worker_niceness": "0",
        "RAY_TMPDIR": str(folder),
        "TIDEGATE_NUM_THREADS": "1",
    }
    machines = Machines(folder, spaces, environment)
    try:
        for space in spaces.values():
            subprocess.run(["ip", "netns", "add", space], check=True)
        link = ["eth0", "netns", spaces["a"], "type", "veth", "peer", "name", "eth0", "netns", spaces["b"]]
        subprocess.run(["ip", "link", "add", *link], check=True)
        for number, space in enumerate(spaces.values(), 1):
            for words in (f"addr add 10.80.0.{number}/24 dev eth0", "link set eth0 up", "link set lo up"):
                subprocess.run(["ip", "-n", space, *words.split()], check=True)
        for name in spaces:
            machines.join(name)
        yield machines
    finally:
        for name, space in spaces.items():
            with suppress(subprocess.CalledProcessError):
                machines.kill(name)
            subprocess.run(["ip", "netns", "del", space], check=False)
        shutil.rmtree(folder, ignore_errors=True)
