"""Read sound as one channel at one rate, and say what is doubtful in it: clipped, silent, or off its zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from math import gcd
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from tidegate.data.transcribed.ogg import check_ogg
from tidegate.data.transcribed.recordings import Signal
from tidegate.data.transcribed.riff import Sound, read_wav
from tidegate.errors import Argument, DataError, MissingPackageError

Channel = Literal["left", "right", "mean"]
Span = tuple[float, float | None]
"""Seconds at which a part of a sound begins and ends; None is its end."""
WAV = (".wav", ".wave")
OTHER_SOUND = (".flac", ".ogg")
SOUND = (*WAV, *OTHER_SOUND)
_OTHER_FORMATS = ("FLAC", "OGG")
_MOST_SAMPLES = 1 << 29
_FULL = 0.9999  # of the largest sample: of 16 bits the last three values of each side
_CLIPPED = 1e-3  # share of samples at full scale
_SILENT = 10 ** (-70 / 20)  # root mean square, -70 dB of full scale
_OFF_ZERO = 0.05  # mean
_BEYOND = 0.5  # seconds that the end of a part may lie behind that of its file, as `extract-segments` of Kaldi lets it


@dataclass(frozen=True)
class Listening:
    """Say how sound is to be read.

    rate: samples a second that are wanted; None takes what a file has.
    channel: which of several channels, or their mean; None refuses a file that has several.
    resample: bring files of another rate to that which is wanted, instead of refusing them.
    """

    rate: int | None = None
    channel: Channel | None = None
    resample: bool = False


def read_sound(path: Path, how: Listening | None = None) -> tuple[Signal, int]:
    """Read the samples [T, 1] of a .wav, .flac or .ogg file, from -1 to 1, and how many there are in a second.

    Samples beyond 1, as floats may be, become 1.

    Raises:
        DataError: the file cannot be read, has several channels or another rate than is wanted, or samples that are no
            numbers or far beyond 1.
        MissingPackageError: soundfile reads .flac and .ogg, SciPy resamples.
    """
    suffix = path.suffix.lower()
    if suffix not in SOUND:
        known = ", ".join(SOUND)
        raise DataError(f"{path} has a suffix that no reader of sound knows; known are {known}. Convert it.")
    sound = read_wav(path, str(path)) if suffix in WAV else _read_other(path)
    return settle(sound, str(path), how or Listening())


def settle(sound: Sound, where: str, how: Listening) -> tuple[Signal, int]:
    """Bring sound to one channel [T, 1] and the rate that is wanted; raises as `read_sound` does."""
    samples = _one_channel(where, sound, how.channel)
    if not np.isfinite(samples).all():
        at = int(np.flatnonzero(~np.isfinite(samples))[0])
        raise DataError(f"{where}, sample {at} is {samples[at]}, no number. Write the file again.")
    if (top := np.abs(samples).max(initial=0)) > 4:
        raise DataError(f"{where} has samples up to {top:.6g}; wanted are -1 to 1. Divide them by their full scale.")
    if how.rate is not None and sound.rate != how.rate:
        if not how.resample:
            raise DataError(
                f"{where} has {sound.rate} samples a second, but {how.rate} are wanted. Resample it: ",
                Argument("resample", True),
            )
        samples, rate = _resampled(samples, sound.rate, how.rate), how.rate
    else:
        rate = sound.rate
    return np.clip(samples, -1, 1).astype(np.float32)[:, None], rate


def part_of(signal: Signal, rate: int, span: Span, where: str) -> tuple[Signal, float]:
    """Cut a part out of samples [T, 1], and say at which second it begins, to the sample.

    Raises DataError where it does not lie in them; an end up to half a second behind theirs is theirs.

    >>> part, begin = part_of(np.arange(8, dtype=np.float32)[:, None], 4, (0.5, 1.25), "a.wav")
    >>> part.ravel().tolist(), begin
    ([2.0, 3.0, 4.0], 0.5)
    """
    first, last = round(span[0] * rate), len(signal) if span[1] is None else round(span[1] * rate)
    if first >= len(signal) or last > len(signal) + _BEYOND * rate:
        told = f"{where} lies at {span[0]:g} to {last / rate:g} s, but the sound has {len(signal) / rate:g} s"
        raise DataError(f"{told}. Is it the right file?")
    return signal[first:last], first / rate


def doubts(signal: Signal) -> list[str]:
    """Say what is doubtful in samples [T, 1]: `clipped`, `silent`, `off its zero`; nothing of no samples.

    >>> doubts(np.ones((100, 1), np.float32))
    ['clipped', 'off its zero']
    """
    if not len(signal):
        return []
    found = []
    if np.mean(np.abs(signal) >= _FULL) > _CLIPPED:
        found.append("clipped")
    if np.sqrt(np.mean(np.square(signal, dtype=np.float64))) < _SILENT:
        found.append("silent")
    if abs(np.mean(signal, dtype=np.float64)) > _OFF_ZERO:
        found.append("off its zero")
    return found


def read_samples(content: bytes) -> Signal:
    """Read what a pipe gives: 16 bit samples of one channel, least byte first, as [T, 1] from -1 to 1."""
    return (np.frombuffer(content, "<i2").astype(np.float32) / np.float32(1 << 15))[:, None]


def _one_channel(where: str, sound: Sound, channel: Channel | None) -> Signal:
    count = sound.samples.shape[1]
    if count == 1:
        return sound.samples[:, 0]
    if channel is None:
        raise DataError(f"{where} has {count} channels, and one is wanted. Say which: ", *_choices())
    if channel == "mean":
        return np.asarray(sound.samples.mean(axis=1, dtype=np.float64), np.float32)
    if count > 2:
        raise DataError(f"{where} has {count} channels, which are not left and right. Take their mean: ",
                        Argument("channel", "mean"))  # fmt: skip
    return sound.samples[:, get_args(Channel).index(channel)]


def _choices() -> Sequence[Argument | str]:
    left, right, mean = (Argument("channel", name) for name in get_args(Channel))
    return left, ", ", right, " or ", mean


def _resampled(samples: Signal, rate: int, wanted: int) -> Signal:
    if find_spec("scipy") is None:
        raise MissingPackageError.of("scipy", "audio", "resampling")
    from scipy.signal import resample_poly

    common = gcd(rate, wanted)
    found = resample_poly(samples.astype(np.float64), wanted // common, rate // common)
    signal: Signal = np.array(found, np.float32)
    return signal


def _read_other(path: Path) -> Sound:
    if find_spec("soundfile") is None:
        raise MissingPackageError.of("soundfile", "audio", f"reading {path.name}")
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            if file.frames * file.channels > _MOST_SAMPLES:
                raise DataError(f"{path} claims {file.frames:,} samples; {_MOST_SAMPLES:,} are the most. Cut it.")
            if file.format not in _OTHER_FORMATS:
                raise DataError(f"{path} is no .flac or .ogg file, but {file.format_info}. Name it as what it is.")
            if file.format == "OGG":
                check_ogg(path)
            samples = file.read(dtype="float32", always_2d=True)
            if len(samples) != file.frames:
                raise DataError(f"{path} claims {file.frames:,} samples, but has {len(samples):,}. Copy it again.")
            return Sound(samples, int(file.samplerate))
    except soundfile.LibsndfileError as error:
        why = getattr(error, "error_string", str(error)).rstrip(".")
        raise DataError(f"{path} cannot be read as sound: {why}. Write it as .wav.") from None
