"""Files of sound and of lines, small enough to check by hand."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np


def put_clip(path: Path, steps: int, *, rate: int = 8000, value: float = 0.25) -> None:
    """Write a clip of 16 bits whose samples are a value with alternating signs; 1 is at full scale and does not."""
    signs = np.ones(steps) if value == 1 else (-1.0) ** np.arange(steps)
    content = np.clip(np.round(signs * value * 32768), -32768, 32767).astype("<i2").tobytes()
    parts = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16)
    parts += b"data" + struct.pack("<I", len(content)) + content
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(parts)) + b"WAVE" + parts)


def put_line(path: Path, shape: tuple[int, int], *, paper: int = 255) -> None:
    """Write a picture of paper with a stroke of ink in the middle."""
    from PIL import Image

    picture = np.full(shape, paper, np.uint8)
    picture[shape[0] // 3 : shape[0] // 2, shape[1] // 3 : shape[1] // 2] = 255 - paper
    Image.fromarray(picture).save(path)
