"""What FFmpeg decodes against what libsndfile reads, and what is said where it can't."""

import av
import encoding
import numpy as np
import pytest
import soundfile

from samplernn.audio import ffmpeg, recordings, wav
from samplernn.audio.chunking import chunk_files
from samplernn.audio.wav import Recording, Unusable
from samplernn.options.chunk_audio import ChunkOptions
from samplernn.system.errors import InputError, RunError


@pytest.fixture
def stereo(music):
    """Music and its reverse, of 16 bits: [160000, 2]."""
    return np.rint(np.stack([music, music[::-1]], axis=1) * 32768).astype(np.int16)


def encode(path, codec, audio, rate=22050, layout="stereo", options=None):
    """A file of int16 audio [frames, channels]; its path is returned, whatever is in its name."""
    encoding.encode(f"file:{path}", codec, audio, rate, layout, options=options or {})
    return path


def decode(path):
    return np.concatenate(list(ffmpeg.read_blocks(ffmpeg.examine(path))))


@pytest.mark.parametrize(("name", "codec"), [("-x: 1.m4a", "alac"), ("x.mka", "pcm_s16le")])
def test_lossless_audio_is_decoded_to_the_bit(stereo, tmp_path, name, codec):
    path = encode(tmp_path / name, codec, stereo)
    assert ffmpeg.examine(path) == Recording(path, str(path), 22050, 160000, 2)
    np.testing.assert_array_equal(decode(path), stereo / np.float32(32768))


@pytest.mark.parametrize(("name", "codec"), [("x.m4a", "aac"), ("x.webm", "libopus")])
def test_lossy_audio_is_near(stereo, tmp_path, name, codec):
    found, expected = decode(encode(tmp_path / name, codec, stereo, 48000)), stereo / np.float32(32768)
    assert len(expected) <= len(found) < len(expected) + 2048
    likeness = np.corrcoef(found[: len(expected)].ravel(), expected.ravel())[0, 1]
    assert likeness > 0.9  # 0.1 where it is shifted by a frame


def test_a_folder_of_such_recordings_is_cut(stereo, tmp_path):
    (tmp_path / "album").mkdir()
    encode(tmp_path / "album" / "x.m4a", "alac", stereo)
    chunk_files(ChunkOptions((str(tmp_path / "album"),), str(tmp_path / "out"), 2000))
    assert len(list((tmp_path / "out").glob("*.wav"))) == 3
    piece, rate = soundfile.read(tmp_path / "out" / "x_chunk_2.wav", dtype="int16")
    assert rate == 22050
    np.testing.assert_array_equal(piece, stereo[44100:88200])


def cut_short(data):
    return data[: len(data) * 3 // 4]


def overwritten(data):
    return data[: len(data) // 2] + b"U" * 300 + data[len(data) // 2 + 300 :]


@pytest.mark.parametrize("damage", [cut_short, overwritten])
@pytest.mark.parametrize(("name", "codec"), [("x.m4a", "aac"), ("x.aac", "aac"), ("x.webm", "libopus")])
def test_what_cannot_be_decoded_to_its_end_is_damaged(stereo, tmp_path, name, codec, damage):
    path = encode(tmp_path / name, codec, stereo, 48000)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=rf"--input_file: .*{name} is not audio that can be read, or is damaged"):
        chunk_files(ChunkOptions((str(path),), str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("other", [{"rate": 22050}, {"rate": 44100, "layout": "mono"}])
def test_a_stream_that_changes_its_rate_or_channels_is_damaged(stereo, tmp_path, other):
    parts = [encode(tmp_path / "1.aac", "aac", stereo, 44100), encode(tmp_path / "2.aac", "aac", stereo, **other)]
    path = tmp_path / "x.aac"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with pytest.raises(Unusable, match="damaged"):
        ffmpeg.examine(path)


@pytest.mark.parametrize(("samples", "said"), [([0.5, np.nan], "NaN or infinite"), ([], "has no samples")])
def test_samples_that_are_none_are_refused(tmp_path, samples, said):
    soundfile.write(tmp_path / "x.wav", np.array(samples), 8000, subtype="FLOAT")
    with pytest.raises(Unusable, match=said):
        ffmpeg.examine(tmp_path / "x.wav")


def test_a_text_and_a_film_without_sound_are_no_audio(tmp_path):
    (tmp_path / "x.txt").write_text("I am a text")
    with av.open(str(tmp_path / "film.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros([64, 64, 3], np.uint8))))
        container.mux(stream.encode(None))
    for path in tmp_path.iterdir():
        with pytest.raises(Unusable, match="not audio that can be read"):
            ffmpeg.examine(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:7,\n{}\n#EXT-X-ENDLIST\n"),
        ("x.m4a", "ffconcat version 1.0\nfile part.aac\n"),
    ],
)
def test_a_list_of_other_files_is_not_followed(stereo, tmp_path, name, content):
    part = encode(tmp_path / "part.aac", "aac", stereo)
    (tmp_path / name).write_text(content.format(part))
    with pytest.raises(Unusable, match="not audio that can be read"):
        ffmpeg.examine(tmp_path / name)


@pytest.mark.long
@pytest.mark.parametrize(("name", "codec"), [("x.mp3", "libmp3lame"), ("x.mp2", "mp2")])
def test_mpeg_audio_that_does_not_count_its_frames_is_read_to_its_end(stereo, tmp_path, name, codec):
    """libsndfile guesses how many there are: it calls the first truncated, or leaves out its end."""
    path = encode(tmp_path / name, codec, stereo, 44100, options={"write_xing": "0", "id3v2_version": "3"})
    recording, read = recordings.examine(path)
    found, expected = np.concatenate(list(read(recording))), stereo / np.float32(32768)
    assert len(expected) <= len(found) == recording.frames < len(expected) + 4000
    shifted = [np.corrcoef(found[lag : lag + 150000, 0], expected[:150000, 0])[0, 1] for lag in range(0, 2500)]
    assert max(shifted) > 0.9


def test_what_counts_its_frames_is_libsndfiles(stereo, tmp_path):
    path = encode(tmp_path / "x.mp3", "libmp3lame", stereo, 44100)
    assert recordings.examine(path) == (wav.examine(path), wav.read_blocks)
    assert recordings.examine(path)[0].frames == len(stereo)


def film(path, stereo, begins=0.0):
    """Two streams, of a picture and of sound, which may begin later."""
    with av.open(str(path), "w") as container:
        picture, sound = container.add_stream("libvpx", rate=25), container.add_stream("libopus", rate=48000)
        picture.width = picture.height = 64
        for number in range(25 * 4):
            shown = av.VideoFrame.from_ndarray(np.full([64, 64, 3], number, np.uint8))
            shown.pts = number
            container.mux(picture.encode(shown))
        heard = av.AudioFrame.from_ndarray(stereo.reshape(1, -1), "s16", "stereo")
        heard.sample_rate, heard.pts = 48000, round(begins * 48000)
        container.mux([*sound.encode(heard), *picture.encode(None), *sound.encode(None)])
    return path


def test_the_sound_of_a_film_is_read_and_one_that_ends_early_is_damaged(stereo, tmp_path):
    path = film(tmp_path / "x.mkv", stereo, begins=0.5)
    assert len(stereo) <= ffmpeg.examine(path).frames < len(stereo) + 2048
    path.write_bytes(cut_short(path.read_bytes()))
    with pytest.raises(Unusable, match="damaged"):
        ffmpeg.examine(path)


def test_what_is_in_libsndfiles_own_formats_is_not_given_to_ffmpeg(stereo, tmp_path):
    encode(tmp_path / "x.m4a", "alac", stereo).rename(tmp_path / "x.wav")
    with pytest.raises(InputError, match="not audio that can be read, or is damaged"):
        chunk_files(ChunkOptions((str(tmp_path / "x.wav"),), str(tmp_path / "out")))


def test_a_file_that_changes_meanwhile_is_named(stereo, tmp_path):
    path = encode(tmp_path / "x.m4a", "alac", stereo)
    recording = ffmpeg.examine(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(RunError, match=r"x\.m4a was removed, cut short or damaged"):
        list(ffmpeg.read_blocks(recording))
