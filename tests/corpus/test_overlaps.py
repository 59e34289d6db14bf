"""Which held-out chunks overlap with chunks that are trained on, by notes and by ear, and what is said of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from samplernn.audio.chunk_notes import NOTES
from samplernn.audio.chunking import chunk_files
from samplernn.corpus import overlaps, places
from samplernn.corpus.overlaps import find_overlaps, remark_on_overlaps
from samplernn.corpus.scan import scan_corpus
from samplernn.corpus.split import Split
from samplernn.options.chunk_audio import ChunkOptions
from samplernn.system.errors import RunError

RATE = 16000
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 10 * RATE).astype(np.float32)


def write(folder, name, audio, hop, length, rate=RATE):
    """The chunks of audio, as chunk_audio.py would cut them, without its notes; lengths in samples."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, len(audio) - length + 1, hop), 1):
        soundfile.write(folder / f"{name}_chunk_{number}.wav", audio[start : start + length], rate)


def divided(folder, *held_out):
    """A split of all there is, by the names of what is held out."""
    corpus = scan_corpus((str(folder),)).recordings
    validation = [file for file in corpus if file.name.removesuffix(".wav") in held_out]
    assert len(validation) == len(held_out)
    return Split([file for file in corpus if file not in validation], validation)


def overlapping(folder, *held_out):
    return {file.name.removesuffix(".wav") for file in find_overlaps(divided(folder, *held_out)).held_out}


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize(
    ("overlap", "held_out", "found"),  # chunks of a second
    [
        (0, (1, 2, 5), ()),
        (250, (1, 5), (1, 5)),
        (250, (1, 2, 3, 7, 8, 9), (3, 7, 9)),
        (600, (1, 2, 3), (2, 3)),  # the first one ends with 1.0 s, the fourth begins with 1.2 s
        (600, (1, 2), (1, 2)),
    ],
)
def test_chunks_overlap_where_they_were_cut_so(tmp_path, music, noted, overlap, held_out, found):
    soundfile.write(tmp_path / "x.wav", music, RATE)
    options = ChunkOptions((str(tmp_path / "x.wav"),), str(tmp_path / "chunks"), 1000, overlap, silence_thresh=None)
    chunk_files(options)
    if not noted:
        (tmp_path / "chunks" / NOTES).unlink()
    names = [f"x_chunk_{number}" for number in held_out]
    assert overlapping(tmp_path / "chunks", *names) == {f"x_chunk_{number}" for number in found}


def test_what_is_noted_is_believed_without_listening(tmp_path, monkeypatch):
    """Silence does not tell."""
    soundfile.write(tmp_path / "x.wav", np.zeros(4 * RATE), RATE)
    chunk_files(ChunkOptions((str(tmp_path / "x.wav"),), str(tmp_path / "chunks"), 1000, 500, silence_thresh=None))
    monkeypatch.setattr(places, "read_mono", None)
    assert overlapping(tmp_path / "chunks", "x_chunk_1", "x_chunk_2") == {"x_chunk_2"}
    (tmp_path / "chunks" / NOTES).unlink()
    monkeypatch.undo()
    assert overlapping(tmp_path / "chunks", "x_chunk_1", "x_chunk_2") == set()


@pytest.mark.parametrize("damaged", ["{", '{"version": 1, "chunks": {"x_chunk": {}}}', "[]"])
def test_damaged_notes_are_no_notes(tmp_path, music, damaged):
    write(tmp_path, "x", music, 4000, 8000)
    (tmp_path / NOTES).write_text(damaged)
    assert overlapping(tmp_path, "x_chunk_1") == {"x_chunk_1"}


def test_only_chunks_of_one_recording_in_one_folder_are_held_together(tmp_path, music):
    write(tmp_path / "cd1", "x", music, 4000, 8000)
    write(tmp_path / "cd2", "x", music, 8000, 8000)
    (tmp_path / "cd1" / "x_chunk_2.wav").rename(tmp_path / "cd1" / "y_chunk_2.wav")
    (tmp_path / "cd1" / "x_chunk_9.wav").rename(tmp_path / "cd1" / "x_9.wav")
    assert overlapping(tmp_path, "cd1/x_chunk_1", "cd1/x_9", "cd2/x_chunk_2") == set()
    assert overlapping(tmp_path, "cd1/x_chunk_3") == {"cd1/x_chunk_3"}


@pytest.mark.parametrize("channels", [1, 2])
def test_a_beginning_in_silence_is_passed_over(tmp_path, channels):
    """Each chunk begins with it, and the first ones are nothing but that."""
    audio = np.stack([NOISE, NOISE[::-1]][:channels], axis=1)
    for start in range(0, len(audio), 6000):
        audio[start : start + 3000] = 0
    audio[:40000] = 0
    write(tmp_path, "x", audio, 6000, 12000)
    assert overlapping(tmp_path, "x_chunk_1", "x_chunk_9") == {"x_chunk_1", "x_chunk_9"}


def test_chunks_of_silence_do_not_tell(tmp_path):
    write(tmp_path, "x", np.zeros(40000), 4000, 8000)
    assert overlapping(tmp_path, "x_chunk_1", "x_chunk_2") == set()


def test_what_comes_again_and_goes_on_otherwise_is_no_overlap(tmp_path):
    """A loop begins each chunk and is heard within it once more."""
    audio = NOISE[:80000].copy()
    for start in range(0, len(audio), 8000):
        audio[start : start + 2000] = audio[start + 4000 : start + 6000] = NOISE[-2000:]
    write(tmp_path, "x", audio, 8000, 8000)
    assert overlapping(tmp_path, "x_chunk_1", "x_chunk_5") == set()


def test_a_place_that_misleads_does_not_hide_the_overlap(tmp_path):
    audio = NOISE[:80000].copy()
    for start in range(0, 72000, 6000):  # the beginning of a chunk is in the one before, and earlier there, too
        audio[start : start + 1500] = audio[start + 2000 : start + 3500] = NOISE[-1500:]
    write(tmp_path, "x", audio, 6000, 12000)
    assert overlapping(tmp_path, "x_chunk_1", "x_chunk_5") == {"x_chunk_1", "x_chunk_5"}


def test_little_that_is_alike_behind_silence_does_not_tell(tmp_path):
    tick = np.r_[np.zeros(990), NOISE[:10]]
    soundfile.write(tmp_path / "x_chunk_1.wav", np.r_[NOISE[:7000], tick], RATE)
    soundfile.write(tmp_path / "x_chunk_2.wav", tick, RATE)
    assert overlapping(tmp_path, "x_chunk_1") == set()


def test_samples_occur_where_whole_samples_do():
    audio = np.array([0x0201, 0x0201, 0x0102], "<i2")
    assert list(places._places(np.array([0x0102], "<i2"), audio)) == [2]
    assert list(places._places(np.array([0x0201], "<i2"), audio)) == [0, 1]


def test_copies_under_several_numbers_are_no_overlap(tmp_path):
    """They are duplicates, which is said elsewhere."""
    for number in range(1, 5):
        soundfile.write(tmp_path / f"x_chunk_{number}.wav", NOISE[:8000], RATE)
    assert overlapping(tmp_path, "x_chunk_1") == set()


def test_chunks_whose_neighbours_are_missing_or_shorter_than_what_is_compared_do_not_tell(tmp_path, music):
    write(tmp_path / "gaps", "x", music, 4000, 8000)
    for path in (tmp_path / "gaps").iterdir():
        if int(path.stem.rpartition("_")[2]) % 2:
            path.unlink()
    write(tmp_path / "short", "x", music[:20000], 400, 800)
    assert overlapping(tmp_path, "gaps/x_chunk_2", "short/x_chunk_2") == set()


def test_only_the_end_of_long_chunks_is_listened_to(tmp_path, monkeypatch):
    write(tmp_path, "x", NOISE[:120000], 30000, 40000)
    monkeypatch.setattr(places, "SAMPLES", 12000)
    assert overlapping(tmp_path, "x_chunk_1", "x_chunk_2") == {"x_chunk_2"}
    monkeypatch.setattr(places, "SAMPLES", 8000)
    assert overlapping(tmp_path, "x_chunk_1", "x_chunk_2") == set()


def test_a_file_that_has_changed_is_named(tmp_path, music):
    write(tmp_path, "x", music, 4000, 8000)
    split = divided(tmp_path, "x_chunk_1")
    Path(tmp_path, "x_chunk_2.wav").unlink()
    with pytest.raises(RunError, match="x_chunk_2.wav was removed, cut short or damaged"):
        find_overlaps(split)


# --- What is said ---


def test_one_line_says_that_the_validation_flatters(tmp_path, music, caplog):
    write(tmp_path, "x", music[:40000], 4000, 8000)
    write(tmp_path, "y", NOISE[:40000], 8000, 8000)
    split = divided(tmp_path, "x_chunk_1", "x_chunk_2", "x_chunk_3", "y_chunk_1")
    caplog.clear()
    remark_on_overlaps(split, begun=False)
    remark_on_overlaps(split, begun=True)
    of_x = [file for file in split.training if file.name.startswith("x")]
    remark_on_overlaps(Split(of_x, split.validation[2:3]), begun=False)
    remark_on_overlaps(Split(split.training, split.validation[:1] + split.validation[3:]), begun=False)
    overlap = "with files that are trained on: the validation loss flatters"
    assert [record.getMessage() for record in caplog.records] == [
        f"Of 4 held-out files 1 overlaps {overlap}; --hold_out recordings holds whole recordings out, --hold_out"
        " time a stretch of each.",
        f"Of 4 held-out files 1 overlaps {overlap}; with another --id, --hold_out recordings holds whole recordings"
        " out, --hold_out time a stretch of each.",
        f"Of 1 held-out file 1 overlaps {overlap}; --hold_out time holds a stretch out that shares nothing with them.",
    ]


def test_it_is_said_where_not_all_recordings_were_listened_to(tmp_path, music, monkeypatch, caplog):
    for name in "abc":
        write(tmp_path, name, music[:40000], 4000, 8000)
    split = divided(tmp_path, *(f"{name}_chunk_{number}" for name in "abc" for number in (1, 5)))
    for limit, number in [(2, "at least 4 overlap"), (3, "6 overlap")]:
        monkeypatch.setattr(overlaps, "RECORDINGS", limit)
        remark_on_overlaps(split, begun=False)
        assert f"Of 6 held-out files {number} with files that are trained on" in caplog.text


def test_where_whole_recordings_are_held_out_nothing_is_listened_to(tmp_path, music, monkeypatch, caplog):
    for name in "abc":
        write(tmp_path, name, music[:20000], 4000, 8000)
    split = divided(tmp_path, *(f"a_chunk_{number}" for number in range(1, 5)))
    caplog.clear()
    monkeypatch.setattr(places, "read_mono", None)
    remark_on_overlaps(split, begun=False)
    assert not caplog.text
    with pytest.raises(TypeError):
        remark_on_overlaps(replace(split, validation=split.validation[:1], training=split.validation[1:]), begun=False)
