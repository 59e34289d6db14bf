"""Audio files: what is refused and how, and chunks against a slow plain version of the documented rules."""

import math

import numpy as np
import pytest
import soundfile
from conftest import damage, half_of

from samplernn import audio as audio_files
from samplernn.audio import (
    Recording,
    _decode,
    chunk_file,
    chunks,
    examine,
    is_silent,
    read_mono,
    wav_writer,
)
from samplernn.config import ChunkOptions
from samplernn.errors import InputError, RunError


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


def plain_is_silent(audio, rate, length_ms):
    """The rule as it reads: look at each stretch, one after the other."""
    half = length_ms // 2
    for start in range(length_ms - half + 1):
        stretch = audio[start * rate // 1000 : (start + half) * rate // 1000].astype(np.float64)
        rms = math.sqrt(np.mean(stretch**2))
        if rms == 0 or 20 * math.log10(rms) <= -64:
            return True
    return False


@pytest.mark.parametrize("rate", [16000, 11025])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("quiet_ms", [0, 90, 99, 100, 101, 150, 200])
def test_silence_is_found_as_by_the_plain_rule(rate, channels, quiet_ms):
    rng = np.random.default_rng(quiet_ms)
    audio = rng.normal(0, 0.1, [200 * rate // 1000, channels]).astype(np.float32)
    start = int(rng.integers(0, 201 - quiet_ms)) * rate // 1000
    audio[start : start + quiet_ms * rate // 1000] *= 1e-3
    found = is_silent(audio, rate, 200)
    assert found == plain_is_silent(audio, rate, 200)
    if rate == 16000:  # elsewhere milliseconds fall between samples
        assert found == (quiet_ms >= 100)


def test_silence_begins_at_minus_64_db():
    level = 10 ** (-64 / 20)
    assert is_silent(np.full([1600, 1], level * 0.999, np.float32), 16000, 100)
    assert not is_silent(np.full([1600, 1], level * 1.001, np.float32), 16000, 100)


@pytest.mark.parametrize(
    ("rate", "length_ms", "overlap_ms", "samples"),
    [
        (16000, 1000, 0, 160000),  # a last piece exactly as long as a chunk
        (16000, 1000, 0, 159999),
        (16000, 1000, 400, 160000),
        (11025, 333, 100, 50000),  # starts that fall between samples
        (11025, 333, 0, 50000),  # and leave one out between two chunks
        (44100, 7, 6, 5000),
    ],
)
def test_chunks_start_where_the_rule_says(tmp_path, rate, length_ms, overlap_ms, samples):
    ramp = (np.arange(samples) % 65536 - 32768).astype(np.int16)
    soundfile.write(tmp_path / "ramp.wav", np.stack([ramp, ramp[::-1]], axis=1), rate)
    recording = examine(tmp_path / "ramp.wav")
    length = length_ms * rate // 1000
    expected, k = [], 1
    while (start := int((k - 1) * (length_ms - overlap_ms) * rate / 1000)) + length <= samples:
        expected.append(start)
        k += 1
    found = list(chunks(recording, length_ms, overlap_ms))
    assert [chunk.number for chunk in found] == list(range(1, len(expected) + 1))
    for chunk, start in zip(found, expected):
        np.testing.assert_array_equal(chunk.audio[:, 0] * 32768, ramp[start : start + length])
        np.testing.assert_array_equal(chunk.audio[:, 1] * 32768, ramp[::-1][start : start + length])


@pytest.mark.parametrize("format_", ["WAV", "FLAC"])
def test_chunking_a_file_writes_exact_pieces_and_reports(tmp_path, music, capsys, format_):
    audio = np.r_[music[:32000], np.zeros(16000), music[32000:48000]]
    source = tmp_path / f"my piece.{format_.lower()}"
    soundfile.write(source, audio, 16000, format=format_, subtype="PCM_16")
    chunk_file(ChunkOptions(str(source), str(tmp_path / "new" / "chunks"), chunk_length=1000))
    names = sorted(path.name for path in (tmp_path / "new" / "chunks").iterdir())
    assert names == [f"my piece_chunk_{k}.wav" for k in (1, 2, 4)]
    for k in (1, 2, 4):
        piece, rate = soundfile.read(tmp_path / "new" / "chunks" / f"my piece_chunk_{k}.wav", dtype="int16")
        whole, _ = soundfile.read(source, dtype="int16")
        np.testing.assert_array_equal(piece, whole[(k - 1) * 16000 : k * 16000])
        assert rate == 16000
    printed = capsys.readouterr().out
    assert "Chunk 3 is silent, omitting it." in printed
    assert "4 chunks processed, 1 omitted for silence; 3 saved" in printed


def test_a_recording_shorter_than_a_chunk_is_refused(wav, tmp_path):
    with pytest.raises(InputError, match="--chunk_length 20000.*only 10000 ms"):
        chunk_file(ChunkOptions(str(wav), str(tmp_path / "chunks"), chunk_length=20000))
    assert not (tmp_path / "chunks").exists()


def test_a_chunk_of_less_than_a_sample_is_refused(tmp_path):
    soundfile.write(tmp_path / "slow.wav", np.zeros(100), 500)
    with pytest.raises(InputError, match="--chunk_length 1: less than a sample"):
        chunk_file(ChunkOptions(str(tmp_path / "slow.wav"), str(tmp_path / "chunks"), chunk_length=1))


def test_what_cannot_be_written_is_one_line_and_leaves_nothing(wav, tmp_path):
    (tmp_path / "chunks" / "music_chunk_1.wav").mkdir(parents=True)
    with pytest.raises(RunError, match=r"music_chunk_1\.wav: cannot be written"):
        chunk_file(ChunkOptions(str(wav), str(tmp_path / "chunks"), chunk_length=1000))
    assert [path.name for path in (tmp_path / "chunks").iterdir()] == ["music_chunk_1.wav"]


def test_half_a_chunk_is_not_kept(wav, tmp_path, monkeypatch):
    def interrupt(audio, to_pcm16=audio_files.to_pcm16):
        if len(audio):
            raise KeyboardInterrupt
        return to_pcm16(audio)

    monkeypatch.setattr(audio_files, "to_pcm16", interrupt)
    with pytest.raises(KeyboardInterrupt):
        chunk_file(ChunkOptions(str(wav), str(tmp_path / "chunks"), chunk_length=1000))
    assert list((tmp_path / "chunks").iterdir()) == []


def test_a_damaged_recording_leaves_nothing_behind(wav, tmp_path):
    wav.write_bytes(half_of(wav.read_bytes()))
    with pytest.raises(InputError, match="--input_file.*truncated"):
        chunk_file(ChunkOptions(str(wav), str(tmp_path / "chunks")))
    assert not (tmp_path / "chunks").exists()


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


def test_a_chunk_that_memory_would_not_hold_is_refused(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(300000), 1)
    with pytest.raises(InputError, match="--chunk_length 200000000: .* 134217728 is the most"):
        chunk_file(ChunkOptions(str(tmp_path / "x.wav"), str(tmp_path / "out"), chunk_length=10**8 * 2))
