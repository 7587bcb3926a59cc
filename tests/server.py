"""A server on the loopback interface that gives files as bad networks do, and patience for it."""

from __future__ import annotations

import hashlib
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from tidegate.fetch.download import Patience
from tidegate.fetch.remote import Remote

CONTENT = random.Random(0).randbytes(1_000_000)
QUICK = Patience(attempts=3, pause=0.001, timeout=5.0)


class Server:
    """Serve CONTENT; `cuts` says after how many bytes each of the first connections is dropped."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.cuts: list[int] = []
        self.status = 0  # of every answer, if not 0
        self.resumes = True
        self.shifts: list[int] = []  # how far from the place that was asked for the next answers begin
        self.ranges: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.headers["Range"]
                outer.ranges.append(asked)
                if outer.status:
                    self.send_error(outer.status)
                    return
                start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and outer.resumes else 0
                start += outer.shifts.pop(0) if outer.shifts else 0
                body = outer.content[start:]
                self.send_response(206 if asked and outer.resumes else 200)
                self.send_header("Content-Range", f"bytes {start}-{len(outer.content) - 1}/{len(outer.content)}")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: outer.cuts.pop(0)] if outer.cuts else body)

            def log_message(self, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

    @property
    def remote(self) -> Remote:
        url = f"http://127.0.0.1:{self.http.server_address[1]}/file.bin"
        return Remote(url, len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
