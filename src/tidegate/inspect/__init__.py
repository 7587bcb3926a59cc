"""Looking inside: traces, the flow of gradients, attributions, and pictures and pages of them. Needs no torch.

Knows networks and weights, and what a task says of itself; knows no task by name.
"""

from typing import TYPE_CHECKING

from tidegate._doors import open_door

if TYPE_CHECKING:
    from tidegate.inspect.attention import Attention as Attention
    from tidegate.inspect.attention import attention_page as attention_page
    from tidegate.inspect.attention_pictures import draw_attention as draw_attention
    from tidegate.inspect.attribution import Attribution as Attribution
    from tidegate.inspect.attribution import attribute as attribute
    from tidegate.inspect.charts import draw_activations as draw_activations
    from tidegate.inspect.charts import draw_confusion as draw_confusion
    from tidegate.inspect.charts import draw_gradient_flow as draw_gradient_flow
    from tidegate.inspect.charts import draw_reliability as draw_reliability
    from tidegate.inspect.curves import draw_learning_curves as draw_learning_curves
    from tidegate.inspect.examination import Examination as Examination
    from tidegate.inspect.examination import examine as examine
    from tidegate.inspect.flow import Clipping as Clipping
    from tidegate.inspect.flow import Flow as Flow
    from tidegate.inspect.flow import GradientFlow as GradientFlow
    from tidegate.inspect.flow import gradient_flow as gradient_flow
    from tidegate.inspect.frame_examination import FrameExamination as FrameExamination
    from tidegate.inspect.frame_examination import examine_frames as examine_frames
    from tidegate.inspect.frame_examination import frames_page as frames_page
    from tidegate.inspect.frames import draw_frames as draw_frames
    from tidegate.inspect.images import draw_image_maps as draw_image_maps
    from tidegate.inspect.images import receptive_field as receptive_field
    from tidegate.inspect.images import scan_maps as scan_maps
    from tidegate.inspect.parts import NGram as NGram
    from tidegate.inspect.parts import Parts as Parts
    from tidegate.inspect.parts import contributions as contributions
    from tidegate.inspect.pictures import draw_attribution as draw_attribution
    from tidegate.inspect.pictures import draw_gates as draw_gates
    from tidegate.inspect.pictures import draw_states as draw_states
    from tidegate.inspect.tracing import DirectionTrace as DirectionTrace
    from tidegate.inspect.tracing import Trace as Trace
    from tidegate.inspect.tracing import trace as trace
    from tidegate.lab import Check as Check
    from tidegate.lab import Outcome as Outcome
    from tidegate.lab import draw_memory_curves as draw_memory_curves
    from tidegate.lab import draw_memory_success as draw_memory_success

open_door(__name__)
