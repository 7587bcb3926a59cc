"""Write the graph of a classifier, in the environment that has the package ``onnx``: JOB as JSON, and the file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmarks.engines import onnx_graph
from benchmarks.work import Job

job = Job(**json.loads(sys.argv[1]))
Path(sys.argv[2]).write_bytes(onnx_graph.classifier(job, job.load(), lengths=True))
