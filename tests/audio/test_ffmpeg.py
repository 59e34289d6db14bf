"""What ffmpeg decodes against what libsndfile reads; what is said where it can't; that nothing of it is left."""

import os
import signal
import struct
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile

from samplernn.audio import ffmpeg
from samplernn.audio.chunking import chunk_files
from samplernn.audio.wav import Recording, Unusable
from samplernn.options.options import ChunkOptions
from samplernn.system.errors import InputError, RunError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="symbolic links are not for everyone there")


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """An ffmpeg on the path, and no other."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    monkeypatch.setenv("PATH", str(folder))


@pytest.fixture
def encoded(tmp_path, music):
    """A function that encodes two channels of music, at 22,050 Hz, which are returned as libsndfile reads them."""
    lossless = tmp_path / "lossless.flac"
    soundfile.write(lossless, np.stack([music, music[::-1]], axis=1), 22050)

    def encode(name, *how):
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", lossless, *how, tmp_path / name]
        subprocess.run(command, check=True)
        return tmp_path / name, soundfile.read(lossless, dtype="float32")[0]

    return encode


def decode(path):
    return np.concatenate(list(ffmpeg.read_blocks(ffmpeg.examine(path))))


def test_lossless_audio_is_decoded_to_the_bit(installed, encoded):
    path, expected = encoded("-x: 1.m4a", "-c:a", "alac")
    assert ffmpeg.examine(path) == Recording(path, str(path), 22050, 160000, 2)
    np.testing.assert_array_equal(decode(path), expected)


def test_lossy_audio_is_near(installed, encoded):
    path, expected = encoded("x.m4a", "-c:a", "aac", "-b:a", "192k")
    found = decode(path)[: len(expected)]
    assert found.shape == expected.shape
    assert np.sqrt(np.mean((found - expected) ** 2)) < 0.1 * np.sqrt(np.mean(expected**2))


def test_a_folder_of_such_recordings_is_cut(installed, encoded, tmp_path):
    path, expected = encoded("x.m4a", "-c:a", "alac")
    (tmp_path / "album").mkdir()
    path.rename(tmp_path / "album" / "x.m4a")
    chunk_files(ChunkOptions((str(tmp_path / "album"),), str(tmp_path / "out"), 2000))
    assert len(list((tmp_path / "out").glob("*.wav"))) == 3
    piece, rate = soundfile.read(tmp_path / "out" / "x_chunk_2.wav", dtype="float32")
    assert rate == 22050
    np.testing.assert_array_equal(piece, expected[44100:88200])


@pytest.mark.parametrize("suffix", ["m4a", "aac", "txt"])
def test_what_ffmpeg_cannot_decode_to_its_end_is_damaged(installed, encoded, tmp_path, suffix):
    if suffix == "txt":
        path = tmp_path / "x.txt"
        path.write_text("I am a text")
    else:
        path, _ = encoded(f"x.{suffix}", "-c:a", "aac")
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] + b"U" * 300 + data[len(data) // 2 + 300 :])
    with pytest.raises(InputError, match=rf"--input_file: .*x\.{suffix} is not audio that can be read, or is damaged"):
        chunk_files(ChunkOptions((str(path),), str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


def test_what_is_in_libsndfiles_own_formats_is_not_given_to_ffmpeg(installed, encoded, tmp_path):
    path, _ = encoded("x.m4a", "-c:a", "alac")
    path.rename(tmp_path / "x.wav")
    with pytest.raises(InputError, match="not audio that can be read, or is damaged"):
        chunk_files(ChunkOptions((str(tmp_path / "x.wav"),), str(tmp_path / "out")))


def test_without_ffmpeg_the_remedy_is_said(encoded, tmp_path, monkeypatch):
    path, _ = encoded("x.m4a", "-c:a", "alac")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"--input_file: .*x\.m4a .*; install ffmpeg, or convert it to WAV"):
        chunk_files(ChunkOptions((str(path),), str(tmp_path / "out")))


def test_a_file_that_changes_meanwhile_is_named(installed, encoded):
    path, _ = encoded("x.m4a", "-c:a", "alac")
    recording = ffmpeg.examine(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(RunError, match=r"x\.m4a was removed, cut short or damaged"):
        list(ffmpeg.read_blocks(recording))


@pytest.fixture
def pretended(tmp_path, monkeypatch):
    """A function that puts a program on the path that gives an AU, whatever it is asked for, and then does nothing."""

    def pretend(samples, rate=8000, more=b"", seconds=0):
        header = struct.pack(">4s5I", b".snd", 28, 2**32 - 1, 6, rate, 2) + b"note"
        (tmp_path / "x.au").write_bytes(header + np.array(samples, ">f4").tobytes() + more)
        program = tmp_path / "ffmpeg"
        program.write_text(f"#!/bin/sh\n/bin/cat '{tmp_path / 'x.au'}'\nexec /bin/sleep {seconds}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return pretend


def test_what_comes_is_taken_in_frames(pretended, tmp_path):
    pretended([0.5, -0.25, 1, 0])
    assert ffmpeg.examine(tmp_path / "x") == Recording(tmp_path / "x", str(tmp_path / "x"), 8000, 2, 2)
    np.testing.assert_array_equal(decode(tmp_path / "x"), [[0.5, -0.25], [1, 0]])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"samples": [0.5, np.nan]}, "NaN or infinite"),
        ({"samples": []}, "no samples"),
        ({"samples": [0.5, 0.5, 0.5]}, "damaged"),
        ({"samples": [0.5, 0.5], "more": b"?"}, "damaged"),
        ({"samples": [0.5, 0.5], "rate": 0}, "impossible sample rate"),
    ],
)
def test_what_comes_and_cannot_be_used_is_refused(pretended, tmp_path, given, said):
    pretended(**given)
    with pytest.raises(Unusable, match=said):
        ffmpeg.examine(tmp_path / "x")


def test_an_ffmpeg_that_hangs_is_ended(pretended, tmp_path, monkeypatch):
    pretended([0.5, 0.5], seconds=30)
    begun = noted(monkeypatch)
    monkeypatch.setattr(ffmpeg, "READ_FRAMES", 2)
    blocks = ffmpeg.read_blocks(Recording(tmp_path / "x", "x", 8000, 2, 2))
    assert len(next(blocks)) == 1
    blocks.close()
    assert begun[0].returncode == -signal.SIGKILL and begun[0].stdout.closed


def test_ctrl_c_leaves_no_process_and_no_pipe(installed, encoded, tmp_path, monkeypatch):
    path, _ = encoded("x.m4a", "-c:a", "alac")
    begun = noted(monkeypatch)
    monkeypatch.setattr(ffmpeg, "READ_FRAMES", 1000)
    monkeypatch.setattr("samplernn.audio.chunking._write_chunk", interrupt)
    with pytest.raises(KeyboardInterrupt):
        chunk_files(ChunkOptions((str(path),), str(tmp_path / "out"), 1000))
    assert len(begun) == 2  # to examine, and to cut
    assert all(process.returncode is not None and process.stdout.closed for process in begun)


def interrupt(*_):
    raise KeyboardInterrupt


def noted(monkeypatch):
    """A list that the processes join that are begun from now on."""
    begun = []

    class Popen(subprocess.Popen):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            begun.append(self)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    return begun
