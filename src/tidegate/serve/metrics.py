"""Health and Prometheus metrics, on a port and a thread of their own, so that they answer while all else is busy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.process_collector import ProcessCollector

from tidegate.serve.batcher import Batcher
from tidegate.serve.door import Door
from tidegate.serve.sessions import Sessions

_SECONDS = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Metrics:
    """Gather what the parts of a server count.

    Args:
        batcher, sessions, door: whose counts are shown; the last may come later.
    """

    def __init__(self, batcher: Batcher, sessions: Sessions) -> None:
        self._batcher, self._sessions = batcher, sessions
        self.door: Door | None = None
        self.registry = CollectorRegistry()
        named = "Seconds that requests waited for the kernels."
        self._waits = Histogram("tidegate_wait_seconds", named, buckets=_SECONDS, registry=self.registry)
        self._runs = Histogram(
            "tidegate_batch_seconds", "Seconds that batches took.", buckets=_SECONDS, registry=self.registry
        )
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def observe(self, waited: float, taken: float) -> None:
        """Note how long a request waited, and how long its batch took."""
        self._waits.observe(waited)
        self._runs.observe(taken)

    def collect(self) -> Iterator[Metric]:
        """Give the counts as they stand."""
        seen, sessions = self._batcher.seen, self._sessions
        answers = CounterMetricFamily("tidegate_answers", "Answers by status.", labels=["status"])
        for status, count in sorted(({} if self.door is None else dict(self.door.answers)).items()):
            answers.add_metric([str(status)], count)
        yield answers
        counts: tuple[tuple[str, str, float], ...] = (
            ("batches", "Batches that were computed.", seen.batches),
            ("jobs", "Requests and turns that were computed.", seen.jobs),
            ("tokens", "Tokens that were computed.", seen.tokens),
            ("expired", "Requests whose deadline passed before their turn.", seen.expired),
            ("busy_seconds", "Seconds that the kernels were busy.", seen.busy),
            ("evicted_sessions", "Sessions that were put away for want of room.", sessions.evicted),
        )
        for name, told, value in counts:
            counter = CounterMetricFamily(f"tidegate_{name}", told)
            counter.add_metric([], value)
            yield counter
        gauges: tuple[tuple[str, str, float], ...] = (
            ("waiting_tokens", "Tokens that wait, or are promised a place.", self._batcher.waiting),
            ("open_sessions", "Sessions in memory.", len(sessions)),
            ("session_bytes", "Bytes that these take.", sessions.used),
        )
        for name, told, value in gauges:
            gauge = GaugeMetricFamily(f"tidegate_{name}", told)
            gauge.add_metric([], value)
            yield gauge


class Side:
    """Serve metrics and health on the loopback interface.

    Args:
        port: 0 takes a free one, which `port` then tells.
        metrics: what is shown.
        is_ready: whether requests are taken.
    """

    def __init__(self, port: int, metrics: Metrics, is_ready: Callable[[], bool]) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = 5.0

            def do_GET(self) -> None:
                match self.path:
                    case "/metrics":
                        status, kind, body = 200, CONTENT_TYPE_LATEST, generate_latest(metrics.registry)
                    case "/health/live":
                        status, kind, body = 200, "text/plain", b"live\n"
                    case "/health/ready":
                        ready = is_ready()
                        status, kind, body = (200, "text/plain", b"ready\n") if ready else (503, "text/plain", b"no\n")
                    case _:
                        status, kind, body = 404, "text/plain", b"/metrics, /health/live, /health/ready\n"
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._http.daemon_threads = True
        self.port: int = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
