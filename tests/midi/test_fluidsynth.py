"""FluidSynth: the program itself where it is installed, and one that stands for it, whatever it does."""

import re
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from samplernn.midi import fluidsynth
from samplernn.midi.fluidsynth import BLOCK, FluidSynth, find
from samplernn.system.errors import InputError, RunError

INSTALLED = find()
needs_fluidsynth = pytest.mark.skipif(INSTALLED is None, reason="fluidsynth or a soundfont is not installed")
SOUNDFONT = b"RIFF\x10\x00\x00\x00sfbkLIST"
# Plays a stereo tone that begins after 64 samples, as the program does, and notes how it was called.
PLAYS = """
import numpy, soundfile
rate, frames = int(option("-r")), int(option("-r")) + 64
tone = 0.25 * numpy.sin(2 * numpy.pi * 440 * (numpy.arange(frames) - 64) / rate) * (numpy.arange(frames) >= 64)
soundfile.write(option("-F"), numpy.stack([tone, 3 * tone], axis=1), rate, "FLOAT", format="W64")
"""


def midi_file(path, notes, ticks=9600):
    """A MIDI file of notes (pitch, start, end) in seconds, in ticks of a second's so many parts."""
    events = [(start, 1, [0x90, pitch, 90]) for pitch, start, _ in notes]
    events += [(end, 0, [0x80, pitch, 0]) for pitch, _, end in notes]
    track, now = b"\x00\xff\x51\x03" + (10**6).to_bytes(3, "big"), 0
    for seconds, _, message in sorted(events):
        delta, now = round(seconds * ticks) - now, round(seconds * ticks)
        track += bytes([0x80 | delta >> 14 & 0x7F, 0x80 | delta >> 7 & 0x7F, delta & 0x7F, *message])
    track += b"\x00\xff\x2f\x00"
    path.write_bytes(struct.pack(">4sIHHH4sI", b"MThd", 6, 0, 1, ticks, b"MTrk", len(track)) + track)
    return path


@pytest.fixture
def pretend(tmp_path, monkeypatch):
    """A function that puts a script on PATH, alone, as fluidsynth; it returns a FluidSynth of it."""
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    (tmp_path / "x.sf2").write_bytes(SOUNDFONT)

    def put(script):
        program = path / "fluidsynth"
        program.write_text(
            f"#!{sys.executable}\nimport sys\n"
            f"option = lambda name: sys.argv[sys.argv.index(name) + 1]\n"
            f"open({str(tmp_path / 'called')!r}, 'w').write('\\n'.join(sys.argv[1:]))\n{script}"
        )
        program.chmod(0o755)
        return FluidSynth(str(program), tmp_path / "x.sf2")

    return put


def test_what_it_plays_is_mixed_down_and_ends_in_silence(pretend, tmp_path):
    audio = pretend(PLAYS).render(tmp_path / "x.mid", 20000, 16000)
    assert (audio.dtype, audio.shape) == (np.float32, (20000,))
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    np.testing.assert_allclose(audio[:16000], tone, atol=1e-6)
    assert not audio[16000:].any()


def test_a_soundfont_that_it_cannot_play_is_refused_when_it_is_named(pretend, tmp_path):
    soundfont = str(tmp_path / "x.sf2")
    assert find_with(pretend, PLAYS, soundfont).soundfont == tmp_path / "x.sf2"
    said = f"^--soundfont {re.escape(soundfont)}: fluidsynth cannot play it: size mismatch; name another"
    with pytest.raises(InputError, match=said):
        find_with(pretend, "sys.exit('fluidsynth: error: size mismatch')", soundfont)


def find_with(pretend, script, soundfont):
    pretend(script)
    return find(soundfont)


def test_what_is_too_long_is_cut_off(pretend, tmp_path):
    program = pretend(PLAYS)
    whole = program.render(tmp_path / "x.mid", 16000, 16000)
    np.testing.assert_array_equal(program.render(tmp_path / "x.mid", 999, 16000), whole[:999])
    assert program.render(tmp_path / "x.mid", 0, 16000).shape == (0,)


@pytest.mark.parametrize(("rate", "played"), [(4000, 8000), (96000, 96000), (192000, 96000)])
def test_rates_that_it_does_not_know_are_resampled(pretend, tmp_path, rate, played):
    audio = pretend(PLAYS).render(tmp_path / "x.mid", 2 * rate, rate)
    assert (tmp_path / "called").read_text().splitlines()[-6:-4] == ["-r", str(played)]
    assert len(audio) == 2 * rate
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    middle = slice(rate // 4, rate * 3 // 4)
    np.testing.assert_allclose(audio[middle], tone[middle], atol=2e-3)


def test_how_it_is_called(pretend, tmp_path, monkeypatch):
    program = pretend(PLAYS)
    monkeypatch.chdir(tmp_path)
    program.render(Path("-x; y.mid"), 10, 16000)
    *settings, played, soundfont, midi = (tmp_path / "called").read_text().splitlines()
    assert (soundfont, midi) == (str(tmp_path / "x.sf2"), str(tmp_path / "-x; y.mid"))
    called = " ".join(settings)
    assert "-R 0 -C 0" in called and "-n -i" in called
    assert not Path(played).parent.exists()  # nothing is left


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("sys.exit('fluidsynth: error: Out of memory')", "Out of memory"),
        ("sys.exit(3)", "it ended with status 3"),
        (PLAYS + "sys.stderr.write('fluidsynth: error: no \\x1bsoundfont\\n')", r"no \\x1bsoundfont"),
        ("", r"what it wrote is missing: there is no such file; is the disk full\?"),
        ("open(option('-F'), 'w').write('?' * 1000)", "what it wrote is not audio that can be read.*"),
        (PLAYS + "import os; os.truncate(option('-F'), 50000)", "what it wrote is truncated.*"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "it ended with status -9"),
    ],
)
def test_a_failure_is_one_line(pretend, tmp_path, script, said):
    with pytest.raises(RunError) as caught:
        pretend(script).render(tmp_path / "x.mid", 1000, 16000)
    assert re.fullmatch(rf"fluidsynth cannot play {tmp_path}/x\.mid: {said}", str(caught.value))


def test_a_program_that_does_not_end_is_ended(pretend, tmp_path, monkeypatch):
    monkeypatch.setattr(fluidsynth, "STARTING_SECONDS", 0.2)
    with pytest.raises(RunError, match="it has not ended after 0 seconds"):
        pretend("import time; time.sleep(60)").render(tmp_path / "x.mid", 10, 16000)


def test_a_program_that_cannot_be_run_is_named(tmp_path):
    with pytest.raises(RunError, match=r"fluidsynth cannot play x\.mid: Permission denied"):
        FluidSynth(str(tmp_path), tmp_path / "x.sf2").render(Path("x.mid"), 10, 16000)


def test_a_soundfont_that_is_none_is_refused(pretend, tmp_path):
    pretend(PLAYS)
    (tmp_path / "x.txt").write_text("I am a text")
    for name, said in (
        ("none.sf2", "there is no such file"),
        ("x.txt", "not a soundfont; name an SF2 or SF3 file"),
        ("bin", r"cannot be read \(not a file.*\)"),
    ):
        with pytest.raises(InputError) as caught:
            find(str(tmp_path / name))
        assert re.fullmatch(f"--soundfont {tmp_path / name}: {said}", str(caught.value))


def test_without_the_program_a_soundfont_is_refused_and_none_is_found(pretend, tmp_path):
    with pytest.raises(InputError, match="--soundfont .*x.sf2: .*not installed: apt install fluidsynth .*; not pip"):
        find(str(tmp_path / "x.sf2"))
    assert find() is None


def test_the_soundfont_of_the_system_is_found(pretend, tmp_path, monkeypatch):
    pretend(PLAYS)
    folders = [tmp_path / name for name in ("none", "a", "b")]
    monkeypatch.setattr(fluidsynth, "FOLDERS", folders)
    assert find() is None
    for name, content in (
        ("a/default-GM.sf2", b"?"),
        ("b/default.sf2", SOUNDFONT),
        ("b/FluidR3_GM.sf2", SOUNDFONT),
        ("b/z.sf3", SOUNDFONT),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    for name in ("default.sf2", "FluidR3_GM.sf2", "z.sf3"):
        assert find().soundfont == tmp_path / "b" / name
        (tmp_path / "b" / name).unlink()


@needs_fluidsynth
@pytest.mark.parametrize("rate", [4000, 16000, 44100])
def test_the_program_plays_notes_when_and_as_they_are(tmp_path, rate):
    midi = midi_file(tmp_path / "x.mid", [(69, 0.5, 1.5), (57, 2.0, 3.0)])
    audio = INSTALLED.render(midi, 4 * rate, rate)
    assert np.abs(audio[: rate // 2 - 20]).max() < 0.01 * np.abs(audio).max()
    late = np.flatnonzero(np.abs(audio) > 0.05 * np.abs(audio).max())[0] - rate // 2
    assert -2 <= late / rate * 1000 <= 1000 * BLOCK / 8000 + 15  # ms: what a piano takes to be so loud, too
    for start, expected in ((0.6, 440), (2.1, 220)):
        piece = audio[round(start * rate) :][: rate // 2]
        spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece)), 2**18))
        hertz = np.arange(len(spectrum)) * rate / 2**18
        near = (hertz > 0.8 * expected) & (hertz < 1.25 * expected)
        assert hertz[near][spectrum[near].argmax()] == pytest.approx(expected, rel=0.01)
    np.testing.assert_array_equal(INSTALLED.render(midi, 4 * rate, rate), audio)


@needs_fluidsynth
def test_what_the_program_cannot_play_is_told(tmp_path):
    midi = midi_file(tmp_path / "x.mid", [(69, 0.5, 1.5)])
    (tmp_path / "x.sf2").write_bytes(SOUNDFONT)
    (tmp_path / "text.mid").write_text("I am a text")
    damaged = FluidSynth(INSTALLED.program, tmp_path / "x.sf2")
    for program, file in ((damaged, midi), (INSTALLED, tmp_path / "text.mid")):
        with pytest.raises(RunError, match=rf"^fluidsynth cannot play {file}: .+$"):
            program.render(file, 100, 16000)


@needs_fluidsynth
def test_the_settings_of_a_user_do_not_matter(tmp_path, monkeypatch):
    midi = midi_file(tmp_path / "x.mid", [(69, 0, 1)])
    expected = INSTALLED.render(midi, 16000, 16000)
    (tmp_path / ".fluidsynth").write_text("gain 0.1\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    np.testing.assert_array_equal(INSTALLED.render(midi, 16000, 16000), expected)
