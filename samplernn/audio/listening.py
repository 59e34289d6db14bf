"""Is this noise normal? Judges generated audio while it is written, and flags what is doubtful.

Audio is judged in stretches of two seconds, each by itself. The thresholds were set by measuring; what was found
stands beside them. The music is twelve minutes of piano (Bach chorales, 16 kHz) in clips of 0.1 to 10 seconds, as it is
and quantized (mu-law, linear with 256 levels) at gains from 0.05 to 1 and with its peak at full scale: none of it is
flagged, except that its silences are silent. The networks are of the demo's size, untrained and after 1 to 12 epochs,
at temperatures from 0.05 to 3. Tones, loops and noise were made at 8 to 48 kHz.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from samplernn.audio.wav import SILENCE_POWER

FLAGS = {  # what is flagged, and in words: what it is, and what usually helps
    "silent": "nothing to hear: try a higher temperature, another seed or another checkpoint",
    "clipped": "cut off at full scale: lower the temperature, or train on recordings that are not clipped",
    "DC offset": "not centred on zero: train on, with recordings that have no offset",
    "one tone": "stuck at one pitch: try a higher temperature, or train on",
    "looping": "the same over and over: try a higher temperature, or train on",
    "white noise": "the network has learnt little yet: train on; if it has trained long, lower the temperature",
}
GUIDE = "docs/listening.md"

STRETCH_SECONDS = 2.0  # judged together; the last stretch of a clip may be shorter
SILENCE_SECONDS = 0.05  # less may be where a wave crosses zero
SPECTRUM_SECONDS = 0.2  # in less, only silence and clipping can be judged
PITCH_SECONDS = 1.0  # in less, a held note is as steady as a network that is stuck
LOWEST_RATE = 4000  # Hz; of audio of a lower rate only clipping is judged

# How many samples at full scale follow on two others, and as a share of all. Music whose peak is at full scale: up to 4
# and 0.0003; the same 6 dB louder: 0.001 to 0.07; 12 dB louder: from 0.036.
CLIPPED_SAMPLES, CLIPPED_SHARE = 10, 0.001
# |mean|, and its ratio to the RMS. Music: up to 0.009. Networks: up to 0.021, a ratio of 0.13. Music + 0.05: from 0.41.
OFFSET, OFFSET_TO_RMS = 0.02, 0.25
# Within so many of the quantizer's smallest steps, what is heard is its rounding: the end of a fade hums and hisses.
QUANTIZER_STEPS = 8
# Flatness of the spectrum times that of the envelope. Music: up to 0.09, in a linear quantizer 0.29. White noise: from
# 0.976. Networks: untrained 0.99; after an epoch 0.13, at a temperature of 1.5 from 0.31 to 0.81, of 3 from 0.81.
WHITENESS = 0.75
SPECTRUM_BANDS, HISS_SECONDS = 128, 0.02
# The energy near the strongest partial and its multiples, and the flatness of the envelope. Music: where half of the
# energy is there, the envelope's is up to 0.974, for notes fade. Sines: from 0.99 both. Networks that hum, at low
# temperatures: from 0.4 to 0.8 of the energy, envelopes from 0.995.
TONE_SHARE, STEADINESS = 0.5, 0.99
TONE_HZ, TONE_WIDTH_HZ, ENVELOPE_SECONDS = 50, 3, 0.1
# Likeness to itself a quarter to a half of the stretch later, and how much it has faded by then. Music: up to 0.76
# where it fades by less than 0.5 dB, else 0.91. Loops with noise at -20 dB: from 0.978. A note ringing for 20 s: 1 dB.
LIKENESS, FADING_DB = 0.95, 0.5
TONE_PERIOD_SECONDS = 0.02  # what repeats faster is a tone


@dataclass(frozen=True)
class Finding:
    """A flag, and where it was found."""

    flag: str  # one of FLAGS
    start: float  # seconds
    end: float

    def to_json(self) -> dict[str, str | float]:
        """As the JSON beside a clip has it."""
        return {"flag": self.flag, "from": round(self.start, 3), "to": round(self.end, 3)}


class Judge:
    """Hears one clip as it is made. What it finds does not depend on the blocks in which the audio comes.

    Args:
        sample_rate: Hz.
        levels: the values that samples can have, ascending: those of the quantizer.
        before: the number of samples at the clip's beginning that are not judged: a seed.
    """

    def __init__(self, sample_rate: int, levels: np.ndarray, before: int = 0):
        self._sample_rate, self._levels = sample_rate, levels
        self._before, self._still_before = before, before
        self._stretch, self._filled = np.empty(round(STRETCH_SECONDS * sample_rate), np.float32), 0
        self._heard: list[tuple[str, ...]] = []  # the flags of each whole stretch

    def add(self, audio: np.ndarray) -> None:
        """Take the next samples, float [n]."""
        passed = min(self._still_before, len(audio))
        self._still_before -= passed
        audio = audio[passed:]
        while len(audio):
            taken = audio[: len(self._stretch) - self._filled]
            self._stretch[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            audio = audio[len(taken) :]
            if self._filled == len(self._stretch):
                self._heard.append(self._flags())
                self._filled = 0

    @property
    def findings(self) -> list[Finding]:
        """What is doubtful in all that was taken, in order; stretches in a row that have a flag are one finding."""
        heard = [*self._heard, self._flags()] if self._filled else self._heard
        length, total = len(self._stretch), len(self._heard) * len(self._stretch) + self._filled
        findings = []
        for flag in FLAGS:
            end = 0
            for found, run in groupby(flag in flags for flags in heard):
                start, end = end, min(end + sum(1 for _ in run) * length, total)
                if found:
                    seconds = ((self._before + sample) / self._sample_rate for sample in (start, end))
                    findings.append(Finding(flag, *seconds))
        return sorted(findings, key=lambda finding: finding.start)

    @property
    def facts(self) -> dict[str, Any]:
        """What else there is to say; nothing."""
        return {}

    @property
    def remark(self) -> str:
        """As `remark` has it, of all that was taken."""
        return remark(self.findings)

    def _flags(self) -> tuple[str, ...]:
        return judge(self._stretch[: self._filled].astype(np.float64), self._sample_rate, self._levels)


def remark(findings: list[Finding], flags: Mapping[str, str] = FLAGS) -> str:
    """One line that says what was found, where, and what usually helps, by the flags; empty if nothing was."""
    if not findings:
        return ""
    parts = []
    for flag in dict.fromkeys(finding.flag for finding in findings):
        first, *others = (finding for finding in findings if finding.flag == flag)
        more = f" and {len(others)} times more" if others else ""
        parts.append(f"{flag} from {first.start:.7g} to {first.end:.7g} s{more} ({flags[flag]})")
    return f"Doubtful: {'; '.join(parts)}. See {GUIDE}."


def judge(audio: np.ndarray, sample_rate: int, levels: np.ndarray) -> tuple[str, ...]:
    """The flags of one stretch.

    Args:
        audio: float64 [n], at least one sample.
        sample_rate: Hz.
        levels: the values that samples can have, ascending; the first and the last are full scale.
    """
    seconds = len(audio) / sample_rate if sample_rate >= LOWEST_RATE else 0
    mean = audio.mean()
    centred = audio - mean  # a constant, however large, is not heard
    power = np.square(centred).mean()
    flags = []
    if seconds >= SILENCE_SECONDS and power <= SILENCE_POWER:
        flags.append("silent")
    if _clipped_samples(audio, levels) >= max(CLIPPED_SAMPLES, CLIPPED_SHARE * len(audio)):
        flags.append("clipped")
    if seconds < SPECTRUM_SECONDS:
        return tuple(flags)
    if abs(mean) >= max(OFFSET, np.diff(levels).min(), OFFSET_TO_RMS * np.sqrt(power)):
        flags.append("DC offset")
    if power <= SILENCE_POWER or np.ptp(audio) <= QUANTIZER_STEPS * np.diff(levels).min():
        return tuple(flags)
    if seconds >= PITCH_SECONDS:
        hums = _steadiness(centred, sample_rate) >= STEADINESS and _tone_share(centred, sample_rate) >= TONE_SHARE
        period = "one tone" if hums else _repetition(centred, sample_rate)
        flags += [period] if period else []
    if _whiteness(centred, sample_rate) >= WHITENESS:
        flags.append("white noise")
    return tuple(flags)


def _clipped_samples(audio: np.ndarray, levels: np.ndarray) -> int:
    full = (audio <= levels[0]) | (audio >= levels[-1])
    return (full[2:] & full[1:-1] & full[:-2]).sum()


def _whiteness(audio: np.ndarray, sample_rate: int) -> float:
    windows = np.lib.stride_tricks.sliding_window_view(audio, 2 * SPECTRUM_BANDS)[::SPECTRUM_BANDS]
    spectrum = _power_spectrum(windows).mean(axis=0)[1:-1]  # half bands at both ends
    return _flatness(spectrum) * _flatness(_envelope(audio, round(HISS_SECONDS * sample_rate)))


def _steadiness(audio: np.ndarray, sample_rate: int) -> float:
    return _flatness(_envelope(audio, round(ENVELOPE_SECONDS * sample_rate)))


def _tone_share(audio: np.ndarray, sample_rate: int) -> float:
    """The energy near the strongest partial and its multiples, as a share of all."""
    spectrum = _power_spectrum(audio)
    frequency = np.arange(len(spectrum)) * sample_rate / len(audio)
    strongest = frequency[spectrum.argmax()]
    if strongest < TONE_HZ:
        return 0.0
    partial = np.maximum(np.rint(frequency / strongest), 1)
    return spectrum[np.abs(frequency - partial * strongest) <= TONE_WIDTH_HZ].sum() / spectrum.sum()


def _repetition(audio: np.ndarray, sample_rate: int) -> str:
    """The flag of what repeats itself all the time, if it does; a note repeats itself, too, but fades."""
    longest = len(audio) // 2
    size = 1 << (len(audio) + longest).bit_length()
    correlation = np.fft.irfft(np.square(np.abs(np.fft.rfft(audio, size))), size)[: longest + 1]
    energy = np.concatenate([[0.0], np.cumsum(np.square(audio))])
    before, after = energy[len(audio) - longest :][::-1], energy[-1] - energy[: longest + 1]  # for each lag
    before, after = np.maximum(before, 1e-12), np.maximum(after, 1e-12)
    likeness = 2 * correlation / (before + after)

    def alike(shortest: int, longest: int) -> bool:
        lag = shortest + likeness[shortest : longest + 1].argmax()
        return likeness[lag] >= LIKENESS and abs(10 * np.log10(before[lag] / after[lag])) <= FADING_DB

    if not alike(longest // 2, longest):  # whatever repeats itself within a half does so in its second half
        return ""
    tone_period = round(TONE_PERIOD_SECONDS * sample_rate)
    return "one tone" if alike(tone_period // 2, tone_period) else "looping"


def _envelope(audio: np.ndarray, frame: int) -> np.ndarray:
    """The mean power of each whole frame."""
    return np.square(audio[: len(audio) // frame * frame].reshape(-1, frame)).mean(axis=1)


def _power_spectrum(audio: np.ndarray) -> np.ndarray:
    return np.square(np.abs(np.fft.rfft(audio * np.hanning(audio.shape[-1]))))


def _flatness(power: np.ndarray) -> float:
    """The geometric mean by the arithmetic one: 1 where all are equal, 0 where most is in one place."""
    return np.exp(np.log(np.maximum(power, 1e-12 * power.mean())).mean()) / power.mean()
