"""Sound: samples of every width give the same wave, and what cannot be read is refused before it is believed."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from tidegate.data.transcribed.features import decode_sphinx, read_features
from tidegate.data.transcribed.recordings import Signal
from tidegate.data.transcribed.sound import Listening, doubts, read_samples, read_sound
from tidegate.errors import DataError

WAVE = np.array([0.0, 0.5, -0.5, -1.0, 0.25], np.float64)


def wav(
    content: bytes, *, code: int = 1, channels: int = 1, rate: int = 8000, bits: int = 16, claim: int | None = None
) -> bytes:
    """Spell a .wav file, whose part `data` may claim another length than it has."""
    form = struct.pack("<HHIIHH", code, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)
    parts = b"fmt " + struct.pack("<I", len(form)) + form
    parts += b"LIST" + struct.pack("<I", 3) + b"abc\0"  # of odd length, so that a byte follows which is of no part
    parts += b"data" + struct.pack("<I", len(content) if claim is None else claim) + content
    return b"RIFF" + struct.pack("<I", 4 + len(parts)) + b"WAVE" + parts


def spelled(bits: int, *, floating: bool = False) -> bytes:
    """Spell the wave in samples of some bits, by arithmetic of our own."""
    if floating:
        return WAVE.astype(f"<f{bits // 8}").tobytes()
    if bits == 8:
        return bytes(int(value * 128) + 128 for value in WAVE)
    return b"".join(int(value * 2 ** (bits - 1)).to_bytes(bits // 8, "little", signed=True) for value in WAVE)


def put(folder: Path, content: bytes, name: str = "a.wav") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("bits", "floating"), [(8, False), (16, False), (24, False), (32, False), (32, True), (64, True)]
)
def test_samples_of_every_width_give_the_same_wave(tmp_path: Path, bits: int, floating: bool) -> None:
    content = wav(spelled(bits, floating=floating), code=3 if floating else 1, bits=bits)
    signal, rate = read_sound(put(tmp_path, content))
    np.testing.assert_array_equal(signal[:, 0], WAVE)  # all of them are sums of powers of two
    assert (rate, signal.shape) == (8000, (5, 1))


def test_an_extensible_format_is_what_its_name_says(tmp_path: Path) -> None:
    form = struct.pack("<HHIIHH", 0xFFFE, 1, 8000, 16000, 2, 16) + struct.pack("<HHI", 22, 16, 0) + b"\1" + bytes(15)
    parts = b"fmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", 10) + spelled(16)
    signal, _ = read_sound(put(tmp_path, b"RIFF" + struct.pack("<I", 4 + len(parts)) + b"WAVE" + parts))
    np.testing.assert_array_equal(signal[:, 0], WAVE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (wav(spelled(16), claim=2_000_000_000), "claims 2,000,000,000 bytes, but 10 follow"),
        (wav(spelled(16))[:-4], "is cut off: its part 'data' claims 10 bytes, but 6 follow"),
        (wav(spelled(16))[:20], "is cut off"),
        (wav(spelled(16)[:-1]), "cut off in the middle of a sample"),
        (wav(spelled(8), code=7, bits=8), "is coded as mu-law"),
        (wav(spelled(8), code=85, bits=8), "is coded as MP3"),
        (wav(spelled(16), bits=12), "has PCM of 12 bits"),
        (wav(spelled(16), channels=0), "claims 0 channels"),
        (wav(spelled(16), rate=0), "0 samples a second"),
        (wav(spelled(16), channels=2, rate=8000) + b"", "cut off in the middle"),
        (wav(np.array([0.0, np.nan], "<f4").tobytes(), code=3, bits=32), "sample 1 is nan"),
        (wav(np.array([0.0, 32767.0], "<f4").tobytes(), code=3, bits=32), "samples up to 32767"),
        (b"RF64" + bytes(40), "of the kind RF64"),
        (b"ID3\3" + bytes(40), "is no .wav file"),
        (b"", "is no .wav file"),
        (wav(spelled(16)).replace(b"data", b"junk"), "has no samples"),
    ],
)
def test_what_is_no_sound_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_sound(put(tmp_path, content))


def test_one_of_several_channels_must_be_named(tmp_path: Path) -> None:
    left = np.array([0.5, 0.25], "<f4")
    path = put(tmp_path, wav(np.stack([left, -left / 2], axis=1).tobytes(), code=3, bits=32, channels=2))
    with pytest.raises(DataError, match=r"has 2 channels, and one is wanted\. Say which: channel='left'"):
        read_sound(path)
    for channel, wanted in (("left", left), ("right", -left / 2), ("mean", left / 4)):
        signal, _ = read_sound(path, Listening(channel=channel))  # type: ignore[arg-type]
        np.testing.assert_array_equal(signal[:, 0], wanted)


def test_another_rate_is_refused_unless_it_may_be_resampled(tmp_path: Path) -> None:
    time = np.arange(44100) / 44100
    tone = (0.5 * np.sin(2 * np.pi * 440 * time)).astype("<f4")
    path = put(tmp_path, wav(tone.tobytes(), code=3, bits=32, rate=44100))
    with pytest.raises(
        DataError, match=r"has 44100 samples a second, but 8000 are wanted\. Resample it: resample=True"
    ):
        read_sound(path, Listening(rate=8000))
    signal, rate = read_sound(path, Listening(rate=8000, resample=True))
    wanted = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    inner = slice(100, -100)  # away from the ends, where the filter sees silence
    assert rate == 8000
    np.testing.assert_allclose(signal[inner, 0], wanted[inner], atol=2e-3)  # ripple of the default filter, 0.1 %


def test_flac_gives_the_samples_of_wav(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "a.flac", WAVE, 8000, subtype="PCM_16")
    (tmp_path / "b.flac").write_bytes(b"fLaC" + bytes(40))
    signal, rate = read_sound(tmp_path / "a.flac")
    np.testing.assert_array_equal(signal[:, 0], WAVE)
    assert rate == 8000
    with pytest.raises(DataError, match=r"b\.flac cannot be read as sound"):
        read_sound(tmp_path / "b.flac")


@pytest.mark.parametrize("coding", ["VORBIS", "OPUS"])
def test_an_ogg_file_is_read_whole_or_refused(tmp_path: Path, coding: str) -> None:
    soundfile = pytest.importorskip("soundfile")
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 40000)  # of which a coder makes several pages
    soundfile.write(tmp_path / "a.ogg", noise, 8000, format="OGG", subtype=coding)
    whole = (tmp_path / "a.ogg").read_bytes()
    assert len(read_sound(tmp_path / "a.ogg")[0]) == 40000
    pages = [at for at in range(len(whole)) if whole[at : at + 4] == b"OggS"]
    middle, last = pages[-2], pages[-1]
    flipped = bytearray(whole)
    flipped[middle + 100] ^= 1
    for content, message in (
        (whole[: len(whole) // 2], "cut off in the middle of a page"),
        (whole[:-1], "cut off in the middle of a page"),
        (whole[: last + 20], "cut off in the middle of a page"),
        (whole[:last], "its last page is missing"),
        (whole[:middle] + whole[last:], f"lacks pages before byte {middle:,}"),
        (bytes(flipped), f"byte {middle:,}: a page is damaged, as its checksum tells"),
        (whole + whole, "holds recordings one after another"),
        (whole + b"abc", "no page of an Ogg file begins there"),
    ):
        with pytest.raises(DataError, match=message):
            read_sound(put(tmp_path, content, "cut.ogg"))


@pytest.mark.parametrize("form", ["OGG", "FLAC"])
def test_no_cut_of_a_coded_file_is_read(tmp_path: Path, form: str) -> None:
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "a.ogg", np.random.default_rng(0).uniform(-0.5, 0.5, 20000), 8000, format=form)
    whole = (tmp_path / "a.ogg").read_bytes()
    for length in (*np.random.default_rng(1).integers(0, len(whole), 40).tolist(), len(whole) - 1):
        with pytest.raises(DataError):
            read_sound(put(tmp_path, whole[:length], "cut.ogg"))


def test_a_file_of_another_kind_is_told_by_name(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    with pytest.raises(DataError, match=r"a\.ogg is no \.flac or \.ogg file, but WAV"):
        read_sound(put(tmp_path, wav(spelled(16)), "a.ogg"))


def test_what_is_doubtful_is_said() -> None:
    time = np.arange(8000, dtype=np.float32)[:, None] / 8000
    tone: Signal = np.sin(2 * np.pi * 440 * time)
    assert doubts(0.5 * tone) == []
    assert doubts(np.clip(2 * tone, -1, 1)) == ["clipped"]
    assert doubts(np.float32(1e-5) * tone) == ["silent"]
    assert doubts(0.5 * tone + 0.1) == ["off its zero"]
    assert doubts(np.zeros((0, 1), np.float32)) == []


def test_a_pipe_gives_samples_of_16_bits() -> None:
    np.testing.assert_array_equal(read_samples(spelled(16))[:, 0], WAVE)


@pytest.mark.parametrize("order", [">", "<"])
def test_sphinx_files_of_both_orders_of_bytes_are_read(order: str) -> None:
    frames = np.arange(26, dtype=np.float32).reshape(2, 13)
    content = np.array([26], f"{order}i4").tobytes() + frames.astype(f"{order}f4").tobytes()
    np.testing.assert_array_equal(decode_sphinx(content, "a.mfc"), frames)
    with pytest.raises(DataError, match="claims 26 numbers of 4 bytes, but has 100 bytes"):
        decode_sphinx(content[:-4], "a.mfc") if order == ">" else decode_sphinx(b"\0\0\0\x1a" + content[4:-4], "a.mfc")
    with pytest.raises(DataError, match="no whole frames of 5"):
        decode_sphinx(content, "a.mfc", 5)


def test_arrays_of_numpy_are_frames_or_refused(tmp_path: Path) -> None:
    frames = np.arange(6.0).reshape(3, 2)
    np.save(tmp_path / "a.npy", frames)
    np.testing.assert_array_equal(read_features(tmp_path / "a.npy"), frames)
    for other in (np.asfortranarray(frames), frames.astype(">i4"), frames.astype("f2"), frames[:0]):
        np.save(tmp_path / "a.npy", other)
        np.testing.assert_array_equal(read_features(tmp_path / "a.npy"), other)
    np.save(tmp_path / "b.npy", np.array([{}]), allow_pickle=True)
    np.save(tmp_path / "c.npy", np.array([[np.inf]]))
    for name, message in (("b.npy", r"is object \[1\]; wanted are numbers"), ("c.npy", "frame 0, number 0 is inf")):
        with pytest.raises(DataError, match=message):
            read_features(tmp_path / name)


def npy(header: str, content: bytes = b"", *, version: bytes = b"\1\0") -> bytes:
    """Spell a .npy file whose header may say anything."""
    spelled = header.encode() + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H" if version == b"\1\0" else "<I", len(spelled)) + spelled + content


SHAPED = "{{'descr': '<f8', 'fortran_order': False, 'shape': {}}}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(SHAPED.format((2**46, 13))), r"claims float64 \[70368744177664, 13\].* but 0 follow"),
        (npy(SHAPED.format((2, 3)), bytes(40)), "which are 48 bytes, but 40 follow"),
        (npy(SHAPED.format((2, 3)), bytes(56)), "which are 48 bytes, but 56 follow"),
        (npy(SHAPED.format((-2, -3)), bytes(48)), "wanted are numbers"),
        (npy(SHAPED.format((2**70, 0))), "wanted are numbers"),
        (npy(SHAPED.format((2, 3)), bytes(48), version=b"\x09\0"), "version .* is not known"),
        (npy("-" * 9000 + "1"), "its header is damaged"),
        (npy("(" * 900), "cannot be read as an array"),
        (npy("{'descr': ('<f8',), 'fortran_order': False, 'shape': (1, 1)}", bytes(8)), "cannot be read as an array"),
        (npy("{1: 2, 'a': 3}"), "cannot be read as an array"),
        (b"PK\3\4" + bytes(60), "cannot be read as an array"),
        (b"", "cannot be read as an array"),
    ],
)
def test_arrays_that_claim_what_they_have_not_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_features(put(tmp_path, content, "a.npy"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.mp3", b"ID3", r"a\.mp3 has a suffix that no reader of sound knows; known are \.wav, \.wave, \.flac, \.ogg"),
        ("a", b"RIFF", "has a suffix that no reader of sound knows"),
        ("a.wav", b"", r"a\.wav is no .wav file: it is empty"),
    ],
)
def test_what_is_no_sound_is_told_as_what_it_is(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_sound(tmp_path / name)


def test_a_file_that_cannot_be_decoded_is_named_once(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    (tmp_path / "a.flac").write_bytes(b"fLaC" + bytes(30))
    with pytest.raises(DataError, match=r"^[^']*a\.flac cannot be read as sound: [^'.]+\. Write it as \.wav\.$"):
        read_sound(tmp_path / "a.flac")
