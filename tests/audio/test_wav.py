"""Audio files: what is refused and how, what is read, what is written."""

import numpy as np
import pytest
import soundfile
from conftest import damage

from samplernn.audio import wav as audio_files
from samplernn.audio.wav import Recording, _decode, examine, read_blocks, read_mono, wav_writer
from samplernn.system.errors import InputError, RunError


@pytest.fixture
def wav(tmp_path, music):
    path = tmp_path / "music.wav"
    soundfile.write(path, music, 16000)
    return path


def test_a_good_file_is_described(wav):
    assert examine(wav) == Recording(wav, str(wav), 16000, 160000, 1)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("truncated WAV", "truncated"),
        ("truncated AIFF", "truncated"),
        ("truncated AU", "truncated"),
        ("truncated W64", "truncated"),
        ("truncated RF64", "truncated"),
        ("truncated FLAC", "not audio"),
        ("truncated MP3", "truncated"),
        ("unseekable", "only be read from its start"),
        ("header only", "truncated"),
        ("NaN", "NaN or infinite"),
        ("Inf", "NaN or infinite"),
        ("empty", "no samples"),
        ("zero bytes", "not audio"),
        ("text", "not audio"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, music, kind, said):
    path = tmp_path / "bad.wav"
    damage(path, kind, music)
    with pytest.raises(InputError, match=said) as caught:
        examine(path)
    assert "bad.wav" in str(caught.value)


def test_a_streamed_wav_of_unknown_size_is_accepted(wav):
    data = bytearray(wav.read_bytes())
    data[4:8] = data[40:44] = b"\xff" * 4
    wav.write_bytes(data)
    assert examine(wav).frames == 160000


def test_channels_are_mixed_down(tmp_path):
    stereo = np.array([[0.5, -0.25], [0.25, 0.25], [0.0, -0.5]])
    soundfile.write(tmp_path / "stereo.wav", stereo, 8000)
    np.testing.assert_array_equal(read_mono(tmp_path / "stereo.wav", 1, 2), np.float32([0.25, -0.25]))


def test_16_bit_audio_is_written_back_exactly(tmp_path):
    samples = np.arange(-32768, 32768).astype(np.int16)
    with wav_writer(tmp_path / "all.wav", 16000) as write:
        for piece in np.split(samples.astype(np.float32) / 32768, 4):
            write(piece)
    written, rate = soundfile.read(tmp_path / "all.wav", dtype="int16")
    np.testing.assert_array_equal(written, samples)
    assert rate == 16000
    assert [path.name for path in tmp_path.iterdir()] == ["all.wav"]


@pytest.mark.parametrize("channels", [1, 2])
def test_a_wav_is_whole_after_each_piece_and_in_the_end_as_libsndfile_writes_it(tmp_path, music, channels):
    audio = music[: 1000 * channels].reshape(1000, channels)
    with wav_writer(tmp_path / "grows.wav", 11025, channels) as write:
        for end in (0, 300, 301, 1000):
            write(audio[audio_files.wav_frames(tmp_path / "grows.wav") : end])
            soundfile.write(tmp_path / "known.wav", audio[:end], 11025, "PCM_16")
            assert (tmp_path / "grows.wav").read_bytes() == (tmp_path / "known.wav").read_bytes()


@pytest.mark.parametrize("last_write", ["", "the samples", "their number in one of two places"])
def test_what_a_kill_leaves_can_be_read(tmp_path, music, last_write):
    """Samples are written before the header's two fields that count them, of which the first is that of the file."""
    path = tmp_path / "cut.wav"
    soundfile.write(path, music[:1000], 16000)
    expected, _ = soundfile.read(path)
    data = bytearray(path.read_bytes())
    data += music[1000:1333].tobytes()[:999] if last_write else b""
    if "number" in last_write:
        data[4:8] = (len(data) - 8).to_bytes(4, "little")
    path.write_bytes(data)
    np.testing.assert_array_equal(soundfile.read(path)[0], expected)
    assert examine(path).frames == audio_files.wav_frames(path) == 1000


def test_what_cannot_be_decoded_to_its_end_is_truncated(tmp_path, music):
    """What is counted is what comes, not what the header says."""
    soundfile.write(tmp_path / "x.wav", music, 16000, subtype="IMA_ADPCM")
    with soundfile.SoundFile(tmp_path / "x.wav") as whole:
        assert _decode(whole) == whole.frames >= len(music)
        whole.seek(whole.frames - 100)
        assert _decode(whole) == 100


def test_what_is_as_loud_as_infinity_is_refused(tmp_path, music):
    soundfile.write(tmp_path / "x.wav", np.r_[music, np.float32(1e30)], 16000, subtype="FLOAT")
    with pytest.raises(InputError, match="as loud as"):
        examine(tmp_path / "x.wav")


def test_a_file_is_read_whole_in_blocks(tmp_path, music, monkeypatch):
    monkeypatch.setattr(audio_files, "READ_FRAMES", 1000)
    stereo = np.stack([music, music[::-1]], axis=1)
    soundfile.write(tmp_path / "x.flac", stereo, 16000)
    blocks = list(read_blocks(examine(tmp_path / "x.flac")))
    assert {len(block) for block in blocks} == {500}
    np.testing.assert_array_equal(np.concatenate(blocks), stereo)


@pytest.mark.parametrize("change", ["removed", "cut short", "of another rate"])
def test_a_file_that_changes_while_it_is_used_is_named(wav, music, change):
    recording = examine(wav)
    if change == "removed":
        wav.unlink()
    else:
        soundfile.write(wav, music[:-1] if change == "cut short" else music, 8000 if "rate" in change else 16000)
    with pytest.raises(RunError, match=r"music\.wav was removed, cut short or damaged"):
        list(read_blocks(recording))
    if "rate" not in change:
        with pytest.raises(RunError, match=r"music\.wav was removed, cut short or damaged"):
            read_mono(wav, 0, 160000)
