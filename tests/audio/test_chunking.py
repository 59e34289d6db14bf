"""Chunks against a slow plain version of the documented rules; which recordings are cut, and what is said."""

import errno
import json
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from conftest import damage, half_of

import chunk_audio
from samplernn.audio import chunking
from samplernn.audio import wav as audio_files
from samplernn.audio.chunk_notes import NOTES
from samplernn.audio.chunking import chunk_files
from samplernn.audio.chunks import chunks, is_silent
from samplernn.audio.resample import resampled
from samplernn.commands import cli
from samplernn.options.chunk_audio import ChunkOptions
from samplernn.system.errors import InputError, RunError
from samplernn.system.files import sha256


@pytest.fixture
def wav(tmp_path, music):
    path = tmp_path / "music.wav"
    soundfile.write(path, music, 16000)
    return path


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
    assert is_silent(np.full([1600, 1], 0.0999, np.float32), 16000, 100, -20)
    assert not is_silent(np.full([1600, 1], 0.1001, np.float32), 16000, 100, -20)


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
def test_chunks_start_where_the_rule_says(rate, length_ms, overlap_ms, samples):
    ramp = (np.arange(samples) % 65536 - 32768).astype(np.int16)
    audio = np.float32(np.stack([ramp, ramp[::-1]], axis=1)) / 32768
    blocks = np.split(audio, [1, 2, 1000, 1000, 20000, 20500])
    length = length_ms * rate // 1000
    expected, k = [], 1
    while (start := int((k - 1) * (length_ms - overlap_ms) * rate / 1000)) + length <= samples:
        expected.append(start)
        k += 1
    found = list(chunks(blocks, rate, ChunkOptions((), "out", length_ms, overlap_ms)))
    assert [chunk.number for chunk in found] == list(range(1, len(expected) + 1))
    for chunk, start in zip(found, expected):
        np.testing.assert_array_equal(chunk.audio[:, 0] * 32768, ramp[start : start + length])
        np.testing.assert_array_equal(chunk.audio[:, 1] * 32768, ramp[::-1][start : start + length])


@pytest.mark.parametrize("format_", ["WAV", "FLAC"])
def test_chunking_a_file_writes_exact_pieces_and_reports(tmp_path, music, capsys, format_):
    audio = np.r_[music[:32000], np.zeros(16000), music[32000:48000]]
    source = tmp_path / f"my piece.{format_.lower()}"
    soundfile.write(source, audio, 16000, format=format_, subtype="PCM_16")
    chunk_files(ChunkOptions((str(source),), str(tmp_path / "new" / "chunks"), chunk_length=1000))
    names = written(tmp_path / "new" / "chunks")
    assert names == [f"my piece_chunk_{k}.wav" for k in (1, 2, 4)]
    for k in (1, 2, 4):
        piece, rate = soundfile.read(tmp_path / "new" / "chunks" / f"my piece_chunk_{k}.wav", dtype="int16")
        whole, _ = soundfile.read(source, dtype="int16")
        np.testing.assert_array_equal(piece, whole[(k - 1) * 16000 : k * 16000])
        assert rate == 16000
    folder = tmp_path / "new" / "chunks"
    assert capsys.readouterr().out.splitlines() == [
        "Chunk 1: 0 to 1000 ms.",
        "Chunk 2: 1000 to 2000 ms.",
        "Chunk 3 is silent, omitting it.",
        "Chunk 4: 3000 to 4000 ms.",
        f"4 chunks processed, 1 omitted for silence; 3 saved to {folder}.",
        "0.1 minutes saved, 0.0 omitted for silence; 16000 Hz, 1 channel.",
    ]


def test_a_recording_shorter_than_a_chunk_is_refused(wav, tmp_path):
    with pytest.raises(InputError, match="--chunk_length 20000.*only 10000 ms"):
        chunk_files(ChunkOptions((str(wav),), str(tmp_path / "chunks"), chunk_length=20000))
    assert not (tmp_path / "chunks").exists()


def test_a_chunk_of_less_than_a_sample_is_refused(tmp_path):
    soundfile.write(tmp_path / "slow.wav", np.zeros(100), 500)
    with pytest.raises(InputError, match="--chunk_length 1: less than a sample"):
        chunk_files(ChunkOptions((str(tmp_path / "slow.wav"),), str(tmp_path / "chunks"), chunk_length=1))


def test_what_cannot_be_written_is_one_line_and_leaves_nothing(wav, tmp_path):
    (tmp_path / "chunks" / "music_chunk_1.wav").mkdir(parents=True)
    with pytest.raises(RunError, match=r"music_chunk_1\.wav: cannot be written"):
        chunk_files(ChunkOptions((str(wav),), str(tmp_path / "chunks"), chunk_length=1000))
    assert written(tmp_path / "chunks") == []


def test_half_a_chunk_is_not_kept(wav, tmp_path, monkeypatch):
    def interrupt(audio, to_pcm16=audio_files.to_pcm16):
        if len(audio):
            raise KeyboardInterrupt
        return to_pcm16(audio)

    monkeypatch.setattr(audio_files, "to_pcm16", interrupt)
    with pytest.raises(KeyboardInterrupt):
        chunk_files(ChunkOptions((str(wav),), str(tmp_path / "chunks"), chunk_length=1000))
    assert written(tmp_path / "chunks") == []


def test_a_damaged_recording_leaves_nothing_behind(wav, tmp_path):
    wav.write_bytes(half_of(wav.read_bytes()))
    with pytest.raises(InputError, match="--input_file.*truncated"):
        chunk_files(ChunkOptions((str(wav),), str(tmp_path / "chunks")))
    assert not (tmp_path / "chunks").exists()


def test_a_chunk_that_memory_would_not_hold_is_refused(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(300000), 1)
    with pytest.raises(InputError, match="--chunk_length 200000000: .* 134217728 is the most"):
        chunk_files(ChunkOptions((str(tmp_path / "x.wav"),), str(tmp_path / "out"), chunk_length=10**8 * 2))


# --- Tails ---


@pytest.mark.parametrize(
    ("length", "overlap", "samples", "whole", "tails"),
    [
        (1000, 0, 2500, [(0, 1000), (1000, 2000)], [(2000, 2500)]),
        (1000, 0, 2001, [(0, 1000), (1000, 2000)], [(2000, 2001)]),
        (1000, 0, 2000, [(0, 1000), (1000, 2000)], []),
        (1000, 400, 1600, [(0, 1000), (600, 1600)], []),  # all that is there at 1200 is in the second
        (1000, 400, 1601, [(0, 1000), (600, 1600)], [(1200, 1601)]),
        (1000, 900, 1050, [(0, 1000)], [(100, 1050)]),  # that at 200 has nothing new any more
        (1000, 400, 300, [], [(0, 300)]),
    ],
)
def test_a_tail_is_kept_if_it_holds_something_new(length, overlap, samples, whole, tails):
    """At 1000 Hz, where a sample is a millisecond."""
    ramp = np.linspace(0.1, 0.9, samples, dtype=np.float32)[:, np.newaxis]
    for keep_tail, expected in ((False, whole), (True, whole + tails)):
        found = list(chunks([ramp], 1000, ChunkOptions((), "out", length, overlap, keep_tail=keep_tail)))
        assert [(chunk.start_ms, chunk.end_ms) for chunk in found] == expected
        for chunk, (start, end) in zip(found, expected):
            np.testing.assert_array_equal(chunk.audio, ramp[start:end])


@pytest.mark.parametrize(("quiet", "silent"), [(199, False), (200, True)])
def test_a_tail_is_silent_if_half_of_it_is(quiet, silent):
    audio = np.full([1400, 1], 0.5, np.float32)
    audio[1400 - quiet :] = 0
    _, tail = chunks([audio], 1000, ChunkOptions((), "out", 1000, keep_tail=True))
    assert (len(tail.audio), tail.silent) == (400, silent)


@pytest.mark.parametrize(("level", "silent"), [(0.5, False), (0, True)])
def test_a_tail_of_less_than_a_millisecond_is_judged_too(level, silent):
    audio = np.r_[np.full([441, 1], 0.5), np.full([9, 1], level)].astype(np.float32)
    *_, tail = chunks([audio], 44100, ChunkOptions((), "out", 10, keep_tail=True))
    assert (len(tail.audio), tail.silent) == (9, silent)


def test_no_more_is_read_than_a_chunk_needs():
    read = []

    def blocks():
        for i in range(100):
            read.append(i)
            yield np.full([100, 1], 0.5, np.float32)

    numbers = [len(read) for _ in chunks(blocks(), 1000, ChunkOptions((), "out", 1000, 500))]
    assert numbers == list(range(10, 101, 5))


# --- What is done with the samples ---


def in_blocks(audio, size=1000):
    return (audio[start : start + size] for start in range(0, len(audio), size))


def resample(audio, rate, new_rate):
    return np.concatenate(list(resampled(in_blocks(audio), rate, new_rate, audio.shape[1])))


@pytest.mark.parametrize(("rate", "new_rate"), [(44100, 16000), (16000, 44100), (11025, 48000)])
def test_a_sine_keeps_its_frequency_and_amplitude(rate, new_rate):
    sine = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(rate) / rate + 0.3)
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(new_rate) / new_rate + 0.3)
    found = resample(np.float32(np.stack([sine, -sine], axis=1)), rate, new_rate)
    inner = slice(new_rate // 20, -new_rate // 20)  # at its ends a tone begins and ceases
    np.testing.assert_allclose(found[inner], np.stack([expected, -expected], axis=1)[inner], atol=1e-5)


def test_what_the_new_rate_cannot_hold_is_gone():
    tone = np.float32(0.5 * np.sin(2 * np.pi * 9000 * np.arange(44100) / 44100))[:, np.newaxis]
    assert np.abs(resample(tone, 44100, 16000)[1000:-1000]).max() < 1e-6


@pytest.mark.parametrize("samples", [1, 999, 1000, 44101])
def test_resampling_in_blocks_is_resampling_the_whole(samples):
    noise = np.random.default_rng(0).normal(0, 0.1, [samples, 2]).astype(np.float32)
    found = resample(noise, 44100, 16000)
    assert abs(len(found) - samples * 16000 / 44100) <= 0.5
    np.testing.assert_allclose(found, soxr.resample(noise, 44100, 16000, "VHQ"), atol=1e-6)


def test_chunks_of_another_rate_in_mono_are_cut_from_the_whole_converted(tmp_path, music):
    stereo = np.stack([music, music[::-1]], axis=1)
    soundfile.write(tmp_path / "x.wav", stereo, 16000, subtype="FLOAT")
    chunk_files(
        ChunkOptions((str(tmp_path / "x.wav"),), str(tmp_path / "out"), 4000, 1000, sample_rate=11025, mono=True)
    )
    expected = soxr.resample(stereo.mean(axis=1), 16000, 11025, "VHQ")
    assert written(tmp_path / "out") == [f"x_chunk_{k}.wav" for k in (1, 2, 3)]
    for k, start in ((1, 0), (2, 33075), (3, 66150)):
        piece, rate = soundfile.read(tmp_path / "out" / f"x_chunk_{k}.wav", dtype="float32")
        assert (rate, piece.shape) == (11025, (44100,))
        np.testing.assert_allclose(piece, expected[start : start + 44100], atol=1 / 32768)


def test_a_rate_too_far_from_a_recordings_is_refused(tmp_path):
    soundfile.write(tmp_path / "slow.wav", np.full(100, 0.5), 7)
    with pytest.raises(InputError, match="--sample_rate 16000: too far from the 7 Hz of .*slow.wav"):
        chunk_files(ChunkOptions((str(tmp_path / "slow.wav"),), str(tmp_path / "out"), sample_rate=16000))


def test_silent_chunks_may_be_kept(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(2000), 1000)
    for threshold, kept in ((-64, 0), (None, 2)):
        chunk_files(
            ChunkOptions((str(tmp_path / "x.wav"),), str(tmp_path / "out"), 1000, silence_thresh=threshold),
        )
        assert len(written(tmp_path / "out")) == kept


# --- Several recordings ---


def record(path, samples=2000, rate=1000):
    """Write a recording: two seconds, unless told."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(samples, 0.5), rate, format="WAV")
    return str(path)


@pytest.fixture
def album(tmp_path):
    """A folder with four recordings, and what is none."""
    folder = tmp_path / "album"
    for name in ("cd1/10.wav", "cd1/2.FLAC", "cd2/2.wav", "intro.aiff"):
        record(folder / name)
    for name in ("cover.jpg", "cd1/notes.txt", ".hidden.wav", "cd1/._2.flac"):
        (folder / name).write_text("no audio")
    return folder


def cut(*given, output, **options):
    """Cut recordings, and return the new chunks' names and bytes."""
    chunk_files(ChunkOptions(tuple(map(str, given)), str(output), **{"chunk_length": 1000, **options}))
    return {name: (output / name).read_bytes() for name in written(output)} if isinstance(output, Path) else None


def written(folder):
    """The files below a folder but the notes on what was cut."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != NOTES)
    return sorted(path.relative_to(folder).as_posix() for path in files)


ALBUMS_CHUNKS = [
    *("cd1/10_chunk_1.wav", "cd1/10_chunk_2.wav", "cd1/2_chunk_1.wav", "cd1/2_chunk_2.wav"),
    *("cd2/2_chunk_1.wav", "cd2/2_chunk_2.wav", "intro_chunk_1.wav", "intro_chunk_2.wav"),
]


def test_the_recordings_of_folders_and_files_are_cut_each_where_it_was(album, tmp_path, capsys):
    single = record(tmp_path / "single.wav", 2500, 500)
    output = tmp_path / "out"
    cut(album, single, output=output, chunk_length=1500, keep_tail=True)
    assert written(output) == sorted([*ALBUMS_CHUNKS, *(f"single_chunk_{k}.wav" for k in (1, 2, 3, 4))])
    said = capsys.readouterr().out.splitlines()
    remark = "train.py wants one, as --sample_rate 1000 gives: cut the others again, with --replace"
    rates = "1000 Hz (8 chunks), 500 Hz (4 chunks)"
    assert said.pop() == f"The chunks in {output} are of different sample rates, {rates}; {remark}."
    assert said[:4] == [
        f"Recording 1 of 5: {album / 'cd1' / '2.FLAC'}",
        "Chunk 1: 0 to 1500 ms.",
        "Chunk 2: 1500 to 2000 ms.",
        f"2 chunks processed, 0 omitted for silence; 2 saved to {output / 'cd1'}.",
    ]
    assert [line for line in said if line.startswith("Recording")][1:] == [
        f"Recording 2 of 5: {album / 'cd1' / '10.wav'}",
        f"Recording 3 of 5: {album / 'cd2' / '2.wav'}",
        f"Recording 4 of 5: {album / 'intro.aiff'}",
        f"Recording 5 of 5: {single}",
    ]
    assert said[-2:] == [
        f"5 recordings; 12 chunks saved to {output}.",
        "0.2 minutes saved, 0.0 omitted for silence; 500 and 1000 Hz, 1 channel.",
    ]


def test_one_rate_is_no_remark(album, tmp_path, capsys):
    record(album / "other.wav", 1000, 500)
    cut(album, output=tmp_path / "out", sample_rate=800)
    assert "different sample rates" not in capsys.readouterr().out
    assert {soundfile.info(path).samplerate for path in (tmp_path / "out").rglob("*.wav")} == {800}


@pytest.mark.parametrize("output", ["album/chunks", "."])
def test_chunks_are_not_cut_again(album, tmp_path, output, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        cut("album", output=output)
        new = [name for name in written(tmp_path) if "_chunk_" in name]
        assert new == [name if output == "." else f"{output}/{name}" for name in ALBUMS_CHUNKS]


def test_a_recording_shorter_than_a_chunk_is_left_out_and_counted(album, tmp_path, capsys):
    record(album / "short.wav", 999)
    cut(album, output=tmp_path / "out")
    assert written(tmp_path / "out") == ALBUMS_CHUNKS
    said = capsys.readouterr().out.splitlines()
    at = said.index(f"Recording 5 of 5: {album / 'short.wav'}")
    assert said[at + 1] == "It has only 999 ms, less than a chunk, and is left out."
    assert (
        said[-2] == f"5 recordings, 1 of them shorter than a chunk and left out; 8 chunks saved to {tmp_path / 'out'}."
    )


def refused(capsys, monkeypatch, *arguments):
    """The one line with which chunk_audio.py ends."""
    monkeypatch.setattr(sys, "argv", ["chunk_audio.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.run(chunk_audio.main)
    error = capsys.readouterr().err
    assert end.value.code == 2 and error.startswith("Error: ") and error.count("\n") == 1
    return error


def test_what_cannot_be_cut_is_one_line_before_anything_is_written(album, tmp_path, capsys, monkeypatch, music):
    def line(*given, output=tmp_path / "out", flags=()):
        return refused(capsys, monkeypatch, "--input_file", *given, "--output_dir", output, *flags)

    good, other = record(tmp_path / "good.wav"), record(tmp_path / "other" / "Good.flac")
    (tmp_path / "none").mkdir()
    damage(album / "bad.wav", "truncated WAV", music)
    missing = tmp_path / "missing.wav"
    before = written(tmp_path)
    said = line(album, good, missing)
    assert said.endswith("; remove or replace these, or leave them out by --skip_unusable\n")
    assert f"{album / 'bad.wav'} is truncated" in said and f"{missing} is missing" in said and "good.wav" not in said
    assert f"chunks of {good} and of {other} would have the same names" in line(good, other)
    assert f"{tmp_path / 'none'} is a folder without audio files" in line(good, tmp_path / "none")
    assert "--output_dir: " in line(album, output=album)
    assert "--input_file: it is empty" in line("")
    longest = f"the longest recording, {good}, has only 2000 ms; choose a shorter one"
    short = record(tmp_path / "short.wav", 500)
    assert longest in line(short, good)
    piece = record(tmp_path / "good_chunk_7.wav")
    assert f"a chunk of {good} would replace {piece}" in line(good, piece, output=tmp_path / "none" / "..")
    assert written(tmp_path) == sorted([*before, "short.wav", "good_chunk_7.wav"])
    assert not (tmp_path / "out").exists()


def test_unusable_recordings_are_left_out_if_asked_for_and_named(album, tmp_path, capsys, monkeypatch, music):
    damage(album / "bad.wav", "truncated WAV", music)
    cut(album, output=tmp_path / "out", skip_unusable=True)
    assert written(tmp_path / "out") == ALBUMS_CHUNKS
    said = capsys.readouterr().out
    remark = (
        f"Unusable (1 of 5 recordings): {album / 'bad.wav'} is truncated: it ends before its header says. Left out."
    )
    assert said.splitlines()[0] == remark and "Recording 4 of 4" in said
    with pytest.raises(InputError, match=r"bad.wav is truncated[^;]*; name recordings that can be read$"):
        cut(album / "bad.wav", output=tmp_path / "other", skip_unusable=True)
    assert not (tmp_path / "other").exists()


# --- About how many, and how loud ---


@pytest.mark.parametrize("number", [12, 16, 17, 100, 997, 5000])
def test_the_overlap_is_that_of_which_there_are_about_as_many_chunks_as_asked_for(tmp_path, capsys, number):
    for name, milliseconds in (("a", 9000), ("b", 1000), ("c", 2500)):
        record(tmp_path / "album" / f"{name}.wav", milliseconds)
    chunk_files(ChunkOptions((str(tmp_path / "album"),), str(tmp_path / "out"), 1000, num_chunks=number))
    overlap = int(capsys.readouterr().out.split()[1])
    assert {note["overlap"] for note in notes(tmp_path / "out").values()} == {overlap}

    def chunks_by(step):
        return sum((duration - 1000) // step + 1 for duration in (9000, 1000, 2500))

    there = len(written(tmp_path / "out"))
    assert there == chunks_by(1000 - overlap)
    assert abs(there - number) == min(abs(chunks_by(step) - number) for step in range(1, 1001))


def test_tails_that_are_kept_are_counted_too(tmp_path, capsys):
    for name, milliseconds in (("a", 6500), ("b", 800)):
        record(tmp_path / "album" / f"{name}.wav", milliseconds)
    for number in (8, 30):
        capsys.readouterr()
        folder = tmp_path / str(number)
        chunk_files(ChunkOptions((str(tmp_path / "album"),), str(folder), 1000, num_chunks=number, keep_tail=True))
        assert f"makes {len(written(folder))} chunks" in capsys.readouterr().out
    assert len(written(tmp_path / "8")) == 8  # six whole ones and a tail of the one, and the other


def test_more_channels_than_can_be_heard_are_refused(tmp_path):
    soundfile.write(tmp_path / "many.wav", np.full([4000, 65], 0.1), 4000)
    with pytest.raises(InputError, match="--normalize loudness: .*many.wav has 65 channels, 64 are the most"):
        cut(tmp_path / "many.wav", output=tmp_path / "out", normalize="loudness")
    assert cut(tmp_path / "many.wav", output=tmp_path / "out", normalize="loudness", mono=True)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ({"num_chunks": 2}, "--num_chunks 2: of --chunk_length 1000 .* 3 without an overlap.*longer --chunk_length"),
        ({"num_chunks": 2502}, "--num_chunks 2502: .* 2501 with the largest; .*add recordings"),
        ({"num_chunks": 5, "overlap": 10}, "--num_chunks chooses the overlap"),
        ({"normalize": "loudness"}, "--normalize loudness: .* 1000 Hz, as .*x.wav has.* 4000 Hz is the least"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_before_anything_is_written(tmp_path, flags, complaint):
    source = record(tmp_path / "x.wav", 3500)
    with pytest.raises(InputError, match=complaint):
        cut(source, output=tmp_path / "out", **flags)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("flags", [{"normalize": "peak"}, {"normalize": "loudness"}, {}])
def test_a_level_is_that_of_the_whole_recording_and_noted(tmp_path, music, flags, capsys):
    audio = np.stack([music * 0.1 + 0.05, music[::-1] * 0.02 - 0.01], axis=1)
    soundfile.write(tmp_path / "x.wav", audio, 16000, subtype="FLOAT")
    cut(tmp_path / "x.wav", output=tmp_path / "out", overlap=0, remove_dc=True, silence_thresh=None, **flags)
    (noted,) = notes(tmp_path / "out").values()
    np.testing.assert_allclose(noted["dc_offset"], audio.mean(axis=0), atol=1e-6)
    pieces = [soundfile.read(tmp_path / "out" / f"x_chunk_{k}.wav")[0] for k in range(1, 11)]
    expected = (audio - audio.mean(axis=0)) * 10 ** (noted["gain"] / 20)
    np.testing.assert_allclose(np.concatenate(pieces), expected, atol=1 / 32768)
    if flags.get("normalize") == "peak":
        assert np.abs(expected).max() == pytest.approx(10 ** (-1 / 20), rel=1e-4)
    assert (noted["gain"] == 0) == (not flags)
    assert "The whole: DC offset of +0.0" in capsys.readouterr().out


# --- Cutting again ---


def notes(folder):
    return json.loads((folder / NOTES).read_text())["chunks"]


def test_what_was_cut_is_noted_beside_the_chunks(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.r_[np.full(2500, 0.5), np.zeros(500)], 1000)
    cut(tmp_path / "x.wav", output=tmp_path / "out", overlap=500, mono=True, silence_thresh=-50.0)
    assert notes(tmp_path / "out") == {
        "x_chunk": {
            "recording": "x.wav", "sha256": sha256(tmp_path / "x.wav"),
            "recording_frames": 3000, "recording_rate": 1000, "chunk_length": 1000,
            "overlap": 500, "sample_rate": 1000, "channels": 1, "silence_thresh": -50.0, "keep_tail": False,
            "saved": 4, "omitted": 1, "remove_dc": False, "normalize": None, "dc_offset": None, "gain": 0.0,
            "chunks": {
                "x_chunk_1.wav": [0.0, 1.0], "x_chunk_2.wav": [0.5, 1.5], "x_chunk_3.wav": [1.0, 2.0],
                "x_chunk_4.wav": [1.5, 2.5],
            },
        }
    }  # fmt: skip


def test_notes_from_before_levels_were_noted_are_those_of_recordings_left_as_they_were(tmp_path):
    source = record(tmp_path / "x.wav", 3000)
    cut(source, output=tmp_path / "out")
    noted = json.loads((tmp_path / "out" / NOTES).read_text())
    for name in ("remove_dc", "normalize", "dc_offset", "gain", "chunks"):
        del noted["chunks"]["x_chunk"][name]
    (tmp_path / "out" / NOTES).write_text(json.dumps(noted))
    cut(source, output=tmp_path / "out")
    with pytest.raises(InputError, match="normalize None, now peak"):
        cut(source, output=tmp_path / "out", normalize="peak")


def test_the_same_cut_may_be_made_again_and_one_that_was_interrupted_goes_on(tmp_path, monkeypatch):
    source = record(tmp_path / "x.wav", 3000)
    whole = cut(source, output=tmp_path / "whole")
    with monkeypatch.context() as patch:
        plain, calls = chunking._write_chunk, []
        patch.setattr(
            chunking, "_write_chunk", lambda *args: (calls.append(1), plain(*args)) if not calls else interrupted()
        )
        with pytest.raises(KeyboardInterrupt):
            cut(source, output=tmp_path / "out")
    assert written(tmp_path / "out") == ["x_chunk_1.wav"] and notes(tmp_path / "out")["x_chunk"]["saved"] is None
    for _ in range(2):
        assert cut(source, output=tmp_path / "out") == whole
        assert written(tmp_path / "out") == written(tmp_path / "whole")
    assert notes(tmp_path / "out") == notes(tmp_path / "whole")


def interrupted():
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"chunk_length": 500}, r"\(chunk_length 1000, now 500\)"),
        ({"overlap": 100, "mono": True}, r"\(overlap 0, now 100; channels 2, now 1\)"),
        ({"sample_rate": 800}, r"\(sample_rate 1000, now 800\)"),
        ({"keep_tail": True, "silence_thresh": None}, r"silence_thresh -64, now None; keep_tail False, now True"),
        ("another recording", r"\(another recording; channels 2, now 1\)"),
        ("longer chunks than the recording", r"\(chunk_length 1000, now 3000\)"),
        ("no notes", r"\(how is not noted\)"),
    ],
)
def test_two_cuts_of_a_recording_are_not_mixed_but_replaced_if_asked_for(tmp_path, capsys, changes, said):
    soundfile.write(tmp_path / "x.wav", np.full([2000, 2], 0.5), 1000)
    sources, options, output = [tmp_path / "x.wav"], {}, tmp_path / "out"
    cut(*sources, output=output)
    record(output / "y_chunk_1.wav"), record(output / "x_chunk_1_chunk_1.wav"), record(output / "x_chunk_one.wav")
    others = ["x_chunk_1_chunk_1.wav", "x_chunk_one.wav", "y_chunk_1.wav"]
    if changes == "another recording":
        sources = [record(tmp_path / "other" / "x.flac", 1700)]
    elif changes == "longer chunks than the recording":
        sources, options = [*sources, record(tmp_path / "z.wav", 3000)], {"chunk_length": 3000}
    elif changes == "no notes":
        (output / NOTES).unlink()
    else:
        options = changes
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    with pytest.raises(InputError, match=f"--output_dir: there are 2 chunks .*/out/x_chunk_… .*{said}.* --replace"):
        cut(*sources, output=output, **options)
    assert {path.name: path.read_bytes() for path in output.iterdir()} == before
    cut(*sources, output=output, replace=True, **options)
    assert "2 old chunks removed.\n" in capsys.readouterr().out
    cut(*sources, output=tmp_path / "new", **options)
    assert written(output) == sorted(written(tmp_path / "new") + others)


def test_a_recording_is_known_again_wherever_it_is_cut_to(album, tmp_path):
    """Once by its folder, whose subfolders are kept, and once by itself."""
    cut(album, output=tmp_path / "out")
    other = {"output": tmp_path / "out", "chunk_length": 500}
    with pytest.raises(InputError, match=r"there are 2 chunks .*/out/cd1/2_chunk_… \(chunk_length 1000, now 500\)"):
        cut(album / "cd1" / "2.FLAC", **other)
    cut(album / "cd1" / "2.FLAC", replace=True, **other)
    new = [f"2_chunk_{k}.wav" for k in (1, 2, 3, 4)]
    assert written(tmp_path / "out") == sorted([*new, *(name for name in ALBUMS_CHUNKS if "cd1/2_" not in name)])
    assert "2_chunk" not in notes(tmp_path / "out" / "cd1")


def test_what_was_cut_of_a_recording_that_is_damaged_now_stays_and_that_is_said(album, tmp_path, capsys):
    cut(album, output=tmp_path / "out")
    (album / "cd2" / "2.wav").write_text("damaged")
    cut(album, output=tmp_path / "out", chunk_length=500, skip_unusable=True, replace=True)
    assert "Left out. What was cut of them before stays: 2 chunks.\n" in capsys.readouterr().out
    assert {"cd2/2_chunk_1.wav", "cd2/2_chunk_2.wav"} <= set(written(tmp_path / "out"))


def test_nothing_is_taken_away_where_the_new_chunks_could_not_be_noted(tmp_path):
    source = record(tmp_path / "x.wav")
    before = cut(source, output=tmp_path / "out")
    (tmp_path / "out" / NOTES).write_text("{")
    with pytest.raises(InputError, match="chunks.json: not valid JSON"):
        cut(source, output=tmp_path / "out", replace=True)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in written(tmp_path / "out")} == before != {}


def test_what_another_time_was_cut_at_another_rate_is_remarked_on(tmp_path, capsys):
    cut(record(tmp_path / "x.wav"), output=tmp_path / "out")
    assert "different" not in capsys.readouterr().out
    cut(record(tmp_path / "y.wav", rate=500), output=tmp_path / "out")
    said = capsys.readouterr().out.splitlines()[-1]
    assert "are of different sample rates, 500 Hz (4 chunks), 1000 Hz (2 chunks); train.py wants one" in said
    cut(tmp_path / "y.wav", output=tmp_path / "out", sample_rate=1000, replace=True)
    assert "different" not in capsys.readouterr().out


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 9, "chunks": {}}', '{"version": 1, "chunks": {"a": {}}}'])
def test_notes_that_are_none_of_ours_are_refused_and_left(tmp_path, content):
    source = record(tmp_path / "x.wav")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / NOTES).write_text(content)
    for replace in (False, True):
        with pytest.raises(InputError, match=r"out/chunks\.json: .*; move it away, or choose another --output_dir"):
            cut(source, output=tmp_path / "out", replace=replace)
    assert (tmp_path / "out" / NOTES).read_text() == content and written(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("key", "value"),
    [("sample_rate", [1]), ("recording", ["x"]), ("sha256", {}), ("more", 1), ("chunk_length", "1"), ("overlap", None),
     ("overlap", 1000), ("overlap", -1), ("chunk_length", 0)],
)  # fmt: skip
def test_notes_with_values_of_other_kinds_are_refused(tmp_path, key, value):
    source = record(tmp_path / "x.wav")
    cut(source, output=tmp_path / "out")
    content = json.loads((tmp_path / "out" / NOTES).read_text())
    content["chunks"]["x_chunk"][key] = value
    (tmp_path / "out" / NOTES).write_text(json.dumps(content))
    with pytest.raises(InputError, match="chunks.json: not what chunk_audio.py notes"):
        cut(source, output=tmp_path / "out")


def test_notes_name_nothing_outside_their_folder(tmp_path):
    cut(record(tmp_path / "x.wav"), output=tmp_path / "out")
    content = (tmp_path / "out" / NOTES).read_text()
    (tmp_path / "out" / NOTES).write_text(content.replace('"x_chunk": {', '"../x_chunk": {'))
    with pytest.raises(InputError, match="chunks.json: not what chunk_audio.py notes"):
        cut(tmp_path / "x.wav", output=tmp_path / "out")


def test_a_folder_that_cannot_be_looked_into_is_named(album, tmp_path, monkeypatch):
    plain = os.scandir

    def scandir(path):
        if Path(path) == album / "cd1":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return plain(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(InputError, match="cd1 is a folder that cannot be looked into; look at its permissions"):
        cut(album, output=tmp_path / "out")
