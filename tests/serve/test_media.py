"""Pictures and sound in a request are the numbers that they hold; what is broken or a bomb is refused unread."""

from __future__ import annotations

import base64
import io
import struct
import wave
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tidegate as tg
from serving import ask, serving
from tidegate.errors import DataError, ShapeError
from tidegate.serve import media
from tidegate.serve.media import media_cost, read_media, unpack
from tidegate.serve.server import Server


def coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def png(array: Any, mode: str | None = None) -> bytes:
    file = io.BytesIO()
    picture = Image.fromarray(np.asarray(array, np.uint8))
    (picture if mode is None else picture.convert(mode)).save(file, "PNG")
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def huge(width: int, height: int) -> bytes:
    """Make a picture of black pixels that says how large it is, and takes next to nothing."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    rows = zlib.compress(b"\0" * min(height * (width + 1), 10**7), 9)
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def wav(samples: Any, width: int, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(width)
        sound.setframerate(8000)
        signed = b"".join(int(each).to_bytes(width, "little", signed=width > 1) for each in samples)
        sound.writeframes(signed)
    return file.getvalue()


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Any]]:
    """A server of a model that reads pictures of 6 pixels a row."""
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("media") / "pictures.safetensors"
    X = [rng.random((5, 6)) * (at % 2) for at in range(12)]
    model = tg.SequenceClassifier(hidden_size=4, epochs=2, batch_size=4, validation_fraction=0.0)
    model.fit(X, [at % 2 for at in range(12)]).save(path)
    with serving({"pictures": path}) as server:
        yield server, tg.load(path)


def test_a_picture_is_its_rows_to_the_bit(digits: tuple[Server, Any]) -> None:
    server, model = digits
    pixels = np.random.default_rng(1).integers(0, 256, (5, 6))
    rows = (pixels.astype(np.float32) / np.float32(255)).tolist()
    whole = coded(png(pixels))
    for item in (whole, f"data:image/png;base64,{whole}"):
        status, told, _ = ask(server, "/v1/predict", {"sequences": [item, rows]})
        assert status == 200
        wanted = model.predict_proba([np.array(rows)])[0].tolist()
        assert [list(each["probabilities"].values()) for each in told["answers"]] == [wanted, wanted]
    look = ask(server, "/v1/look", {"sequences": [whole]})[1]
    assert len(look["steps"]) == 5


def test_colours_become_gray_and_what_is_transparent_black() -> None:
    gray = np.array([[0, 100, 255]])
    for mode in ("RGB", "RGBA", "P", "LA"):
        np.testing.assert_array_equal(read_media(coded(png(gray, mode)), 3, "x"), gray.astype(np.float32) / 255)
    clear = np.zeros((1, 2, 4))
    clear[0, 0] = [255, 255, 255, 0]
    clear[0, 1] = [255, 255, 255, 255]
    np.testing.assert_array_equal(read_media(coded(png(clear)), 2, "x"), [[0.0, 1.0]])
    ink = png(np.array([[0, 255]]), "1")
    np.testing.assert_array_equal(read_media(coded(ink), 1, "x"), [[0.0], [1.0]])


@pytest.mark.parametrize(
    ("width", "samples", "wanted"),
    [
        (1, [0, 128, 255], [-1.0, 0.0, 127 / 128]),
        (2, [-(2**15), 0, 2**14], [-1.0, 0.0, 0.5]),
        (3, [-(2**23), 1, 2**22], [-1.0, 2.0**-23, 0.5]),
        (4, [-(2**31), 0, 2**30], [-1.0, 0.0, 0.5]),
    ],
)
def test_sound_is_its_samples(width: int, samples: list[int], wanted: list[float]) -> None:
    np.testing.assert_array_equal(read_media(coded(wav(samples, width)), 1, "x")[:, 0], np.array(wanted, np.float32))


def test_each_channel_is_a_number_of_a_step() -> None:
    found = read_media(coded(wav([2**14, -(2**14), 0, 2**14], 2, channels=2)), 2, "x")
    np.testing.assert_array_equal(found, [[0.5, -0.5], [0.0, 0.5]])
    with pytest.raises(ShapeError, match="2 channels"):
        read_media(coded(wav([0, 0], 2, channels=2)), 1, "x")


def test_a_bomb_is_refused_by_its_head(digits: tuple[Server, Any]) -> None:
    """It costs what it says it holds, and is refused before it is unpacked, alone or with others."""
    bomb = coded(huge(6, 10**7))
    assert len(bomb) < 100_000
    assert media_cost(bomb) == 6 * 10**7 + 1
    status, told, _ = ask(digits[0], "/v1/predict", {"sequences": [bomb]})
    assert (status, "pixels" in told["detail"]) == (422, True)
    small = coded(huge(6, 10**5))
    assert unpack([small], 6)[0].shape == (10**5, 6)
    with pytest.raises(DataError, match="together"):
        unpack([small] * 10, 6)
    assert media.MOST_PIXELS < 6 * 10**6


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ("wave", "PNG or WAV"),
        ("", "PNG or WAV"),
        ("data:image/png;base64,", "PNG or WAV"),
        (coded(b"GIF89a" + b"\0" * 50), "PNG or WAV"),
        (coded(png(np.zeros((5, 6)))[:40]), "no sound PNG"),
        (coded(png(np.zeros((5, 6)))[:20]), "no size"),
        (coded(png(np.zeros((5, 7)))), "7 pixels wide"),
        (coded(wav([0] * 9, 2)), "1 channels"),
        (coded(b"RIFF\0\0\0\0WAVE" + b"\xff" * 60), "no sound WAV"),
        (coded(wav([0] * 9, 2)[:30]), "no sound WAV"),
    ],
)
def test_what_is_broken_is_told(digits: tuple[Server, Any], item: str, told: str) -> None:
    status, said, _ = ask(digits[0], "/v1/predict", {"sequences": [[[0.0] * 6], item]})
    assert (status, said["type"]) == (422, "urn:tidegate:unreadable")
    assert "sequences[1]" in said["detail"]
    assert told in said["detail"]


def test_damage_anywhere_is_told_or_harmless(digits: tuple[Server, Any]) -> None:
    draw, whole = np.random.default_rng(2), png(np.random.default_rng(3).integers(0, 256, (5, 6)))
    sound = wav(range(20), 2)
    for data, features in ((whole, 6), (sound, 1)):
        for _ in range(200):
            hurt = bytearray(data)
            for at in draw.integers(0, len(data), 3):
                hurt[at] = draw.integers(0, 256)
            try:
                found = read_media(coded(bytes(hurt)), features, "x")
            except (DataError, ShapeError):
                continue
            assert np.isfinite(found).all()
            assert np.abs(found).max(initial=0.0) <= 1


def test_a_flat_line_counts_as_what_it_is_scaled_up_to() -> None:
    head = struct.pack(">8sI4sII", b"\x89PNG\r\n\x1a\n", 13, b"IHDR", 4000, 8) + bytes(9)
    flat = base64.b64encode(head).decode()
    assert media_cost(flat) == 4000 * 8 + 1
    assert media_cost(flat, 64) == 32_000 * 64 + 1  # eight times as wide, eight times as high
    assert media_cost(flat, 4) == 4000 * 8 + 1
    with pytest.raises(DataError, match="pixels together"):
        unpack([flat] * 3, 64, lambda *_: pytest.fail("it was read"))
