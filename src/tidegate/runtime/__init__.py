"""Runs a network without torch."""

from typing import TYPE_CHECKING

from tidegate._doors import open_door

if TYPE_CHECKING:
    from tidegate.engine.recording import LayerRun as LayerRun
    from tidegate.engine.recording import NodeRun as NodeRun
    from tidegate.engine.recording import Recording as Recording
    from tidegate.engine.recording import final_state as final_state
    from tidegate.engine.recording import look_up as look_up
    from tidegate.engine.recording import matrix_name as matrix_name
    from tidegate.runtime.decoder import Decoder as Decoder
    from tidegate.runtime.executor import Executor as Executor
    from tidegate.runtime.executor import cut as cut
    from tidegate.runtime.executor import run_sorted as run_sorted
    from tidegate.runtime.stream import Prepared as Prepared
    from tidegate.runtime.stream import Stream as Stream
    from tidegate.runtime.stream_pool import Streamable as Streamable
    from tidegate.runtime.stream_pool import StreamPool as StreamPool
    from tidegate.runtime.writer import Sampling as Sampling
    from tidegate.runtime.writer import Writer as Writer

open_door(__name__)
