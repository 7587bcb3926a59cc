"""The yardstick of a lone request: the same server, which computes each request where it reads it, without a batcher.

python -m benchmarks.serving_direct MODEL PORT
"""

import sys
from pathlib import Path
from typing import Any

from tidegate.serve import server
from tidegate.serve.batcher import Batcher, Place
from tidegate.serve.settings import Settings


class Direct(Batcher):
    """Compute at once, on the loop, one request after the other."""

    async def ask(self, work: Any, payload: Any, tokens: int, place: Place | None = None) -> Any:
        """Compute a payload."""
        answer = work.run([payload])[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer


if __name__ == "__main__":
    setattr(server, "Batcher", Direct)  # noqa: B010 - another class in the place of one
    settings = Settings(port=int(sys.argv[2]), metrics_port=None, threads=1)
    server.Server({"model": Path(sys.argv[1])}, settings).run()
