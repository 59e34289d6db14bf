"""MIDI files made audible by FluidSynth, if it is installed: a program that plays the recorded notes of a soundfont."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np

from samplernn.audio.resample import length_at, read_at
from samplernn.audio.wav import PROBLEMS, Unusable, examine
from samplernn.midi.synthesis import limited
from samplernn.system.errors import InputError, RunError, naming
from samplernn.system.files import refusals_in_words
from samplernn.system.words import printable, shortened

PROGRAM = "fluidsynth"
INSTALL = (
    "apt install fluidsynth (Debian, Ubuntu), brew install fluid-synth (macOS) or conda install -c conda-forge "
    "fluidsynth; not pip, whose package of that name is another"
)
FOLDERS = (  # where systems keep soundfonts
    Path("/usr/share/sounds/sf2"),
    Path("/usr/share/sounds/sf3"),
    Path("/usr/share/soundfonts"),
    Path("/usr/local/share/soundfonts"),
    Path("/opt/homebrew/share/soundfonts"),
    Path(sys.prefix, "share", "soundfonts"),
)
PATTERNS = ("default*.sf[23]", "*GM*.sf[23]", "*.sf[23]")  # of their names, those first that have a piano for sure
LEAST_RATE, MOST_RATE = 8000, 96000  # Hz, at which the program plays
BLOCK = 64  # samples, at a multiple of which a note begins
LATE = 64  # samples by which all of what it plays is late (version 2.3.1; 128 at 96000 Hz)
GAIN = 2.0  # four voices at a velocity of 80: an RMS of -20 to -22 dB by TimGM6mb and FluidR3_GM
# Without reverb and chorus, into a file that may be longer than a WAV, of samples that may be louder than full scale.
SETTINGS = ("-n", "-i", "-R", "0", "-C", "0", "-z", str(BLOCK), "-g", str(GAIN), "-T", "w64", "-O", "float")
STARTING_SECONDS = 60  # that it may take beyond what the music takes, to read a soundfont


@dataclass(frozen=True)
class FluidSynth:
    """The program and a soundfont."""

    program: str
    soundfont: Path

    def render(self, midi: Path, num_samples: int, sample_rate: int) -> np.ndarray:
        """Play a MIDI file, mixed down: float32 [num_samples] in [-1, 1], silent where it has ended.

        A note begins up to BLOCK samples late.

        Raises:
            RunError: the program fails, or the disk is full.
        """
        rate = min(max(sample_rate, LEAST_RATE), MOST_RATE)
        audio = np.zeros(num_samples, np.float32)
        with tempfile.TemporaryDirectory() as folder:
            played = Path(folder, "played.w64")
            if why := self.play(midi, played, rate, num_samples / sample_rate):
                raise _failed(midi, why)
            try:
                recording = examine(played)
            except Unusable as error:
                raise _failed(midi, f"what it wrote {PROBLEMS[error.problem]}; is the disk full?") from None
            length = max(0, min(num_samples, length_at(recording, sample_rate, LATE)))
            audio[:length] = read_at(recording, sample_rate, LATE, length)
        return limited(audio)

    def play(self, midi: Path, played: Path, rate: int, seconds: float) -> str:
        """Play a MIDI file of so many seconds into a file; returns why that fails, or nothing."""
        timeout = STARTING_SECONDS + seconds
        settings = played.with_name("settings")
        settings.touch()
        paths = [str(path.absolute()) for path in (self.soundfont, midi)]  # which do not begin with a dash
        command = [self.program, *SETTINGS, "-f", str(settings), "-r", str(rate), "-F", str(played), *paths]
        try:
            ended = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            return f"it has not ended after {timeout:.0f} seconds"
        except OSError as error:
            return error.strerror or str(error)
        # A soundfont that it cannot read is no failure to it, but an error that it tells.
        errors = re.findall(r"error: *(.+)", ended.stderr.decode(errors="replace"))
        if errors:
            return shortened(printable(errors[0]))
        return f"it ended with status {ended.returncode}" if ended.returncode else ""


def _failed(midi: Path, why: str) -> RunError:
    return RunError(f"{PROGRAM} cannot play {midi}: {why}")


def find(soundfont: str | None = None) -> FluidSynth | None:
    """The program with a soundfont: that which --soundfont names, or one that the system has; None if it has none.

    Raises:
        InputError: a soundfont is named, and it is none, or damaged, or the program is not installed.
    """
    program = shutil.which(PROGRAM)
    if soundfont is None:
        found = _system_soundfont() if program else None
        return FluidSynth(program, found) if found else None
    with naming(f"--soundfont {soundfont}"):
        with refusals_in_words(soundfont):
            if not _is_soundfont(Path(soundfont)):
                raise InputError("not a soundfont; name an SF2 or SF3 file")
        if not program:
            raise InputError(f"played by {PROGRAM}, which is not installed: {INSTALL}")
        found = FluidSynth(program, Path(soundfont))
        if why := _what_keeps_from_playing(found):
            raise InputError(f"{PROGRAM} cannot play it: {why}; name another SF2 or SF3 file")
    return found


def _what_keeps_from_playing(synthesizer: FluidSynth) -> str:
    """Why it cannot play a note, in words, or nothing."""
    note = [mido.Message("note_on", note=60), mido.Message("note_off", note=60, time=1)]
    with tempfile.TemporaryDirectory() as folder:
        midi = Path(folder, "note.mid")
        mido.MidiFile(tracks=[mido.MidiTrack(note)]).save(midi)
        return synthesizer.play(midi, midi.with_name("note.w64"), LEAST_RATE, seconds=0)


def _system_soundfont() -> Path | None:
    for pattern in PATTERNS:
        for folder in FOLDERS:
            for path in sorted(folder.glob(pattern)):
                with suppress(OSError):
                    if _is_soundfont(path):
                        return path
    return None


def _is_soundfont(path: Path) -> bool:
    with path.open("rb") as file:
        begins = file.read(12)
    return begins[:4] == b"RIFF" and begins[8:] == b"sfbk"
