"""Whole recordings, or a stretch of each, held out: how much, that nothing is on both sides, and of chunks added."""

from pathlib import Path

import pytest
import soundfile

from samplernn.audio.chunking import chunk_files
from samplernn.audio.wav import Recording
from samplernn.corpus.overlaps import find_overlaps
from samplernn.corpus.places import Place, find_places
from samplernn.corpus.scan import scan_corpus
from samplernn.corpus.split import Split, recording_of, split_corpus
from samplernn.options.chunk_audio import ChunkOptions
from samplernn.system.errors import InputError


def files(*names, frames=1000):
    return [Recording(Path("corpus", name), name, 16000, frames, 1) for name in names]


def chunks(name, number, first=1):
    return files(*(f"{name}_chunk_{k}.wav" for k in range(first, first + number)))


def corpus_of(*numbers):
    """Recordings a, b, … of so many chunks."""
    return [chunk for name, number in zip("abcdefghij", numbers) for chunk in chunks(name, number)]


def split(corpus, batch_size, val_frac=0.1, earlier=None):
    return split_corpus(corpus, 64, batch_size, val_frac, earlier, "recordings")


def names(part):
    return {recording.name for recording in part}


@pytest.mark.parametrize(
    ("name", "recording"),
    [
        ("x_chunk_1.wav", "x_chunk"),
        ("cd 1/x.y_chunk_012.WAV", "cd 1/x.y_chunk"),
        ("../more/x_chunk_3_chunk_2.wav", "../more/x_chunk_3_chunk"),
        ("x.wav", "x.wav"),
        ("x_chunk_.wav", "x_chunk_.wav"),
        ("x_chunk_1b.wav", "x_chunk_1b.wav"),
        ("x_chunk_1/y.wav", "x_chunk_1/y.wav"),
        ("xchunk_1.wav", "xchunk_1.wav"),
    ],
)
def test_a_recording_is_what_stands_before_the_number_of_its_chunks(name, recording):
    assert recording_of(name) == recording


@pytest.mark.parametrize(
    ("numbers", "batch_size", "val_frac", "held_out", "training"),
    [
        ((6, 2), 2, 0.25, [2], 6),  # as many as there are to be
        ((2, 6), 2, 0.75, [6], 2),
        ((6, 1), 2, 0.1, [1], 6),  # one is nearer to two than none is
        ((6, 3), 2, 0.1, [3], 6),  # and so is three
        ((9, 11), 2, 0.1, [9], 10),  # two are wanted, from which 9 are further than none: the least, of all that are so
        ((11, 12, 10), 2, 0.1, [10], 22),
        ((5, 5), 2, 0.8, [5], 4),  # ten are nearer to eight, and leave nothing to train on
        ((1,) * 10, 2, 0.4, [1] * 4, 6),
        ((2, 2, 2, 2), 2, 0.5, [2, 2], 4),
        ((4, 4, 4, 4, 4), 2, 0.3, [4], 16),  # eight are no nearer to six than four
    ],
)
def test_recordings_are_held_out_with_about_as_many_files(numbers, batch_size, val_frac, held_out, training):
    found = split(corpus_of(*numbers), batch_size, val_frac)
    numbers_held_out = {}
    for chunk in found.validation:
        numbers_held_out[chunk.name[0]] = numbers_held_out.get(chunk.name[0], 0) + 1
    assert sorted(numbers_held_out.values()) == held_out
    assert len(found.training) == training
    assert not set(numbers_held_out) & {chunk.name[0] for chunk in found.training}


def test_recordings_are_always_the_same_ones():
    found = split(corpus_of(3, 3, 3, 3, 3, 3), 3, 0.2)
    assert names(found.validation) == names(chunks("e", 3))  # trials of a search can only be compared if it is so
    assert found == split(corpus_of(3, 3, 3, 3, 3, 3), 3, 0.2)


def test_files_that_are_no_chunks_are_recordings_themselves():
    found = split(files(*(f"{i}.wav" for i in range(12))), 2, 0.3)
    assert (len(found.training), len(found.validation)) == (8, 4)


def test_recordings_of_one_name_in_two_folders_are_two():
    found = split(chunks("cd1/x", 4) + chunks("../cd2/x", 4), 2)
    sides = [{Path(file.name).parent.as_posix() for file in part} for part in (found.training, found.validation)]
    assert sorted(map(sorted, sides)) == [["../cd2"], ["cd1"]]


def test_files_are_held_out_by_default_as_ever():
    corpus = corpus_of(4, 4)
    assert split_corpus(corpus, 64, 2, 0.25) == split_corpus(corpus, 64, 2, 0.25, None, "files")
    assert [file.name for file in split_corpus(corpus, 64, 2, 0.25).validation] == ["a_chunk_1.wav", "a_chunk_2.wav"]


def test_one_recording_cannot_be_on_both_sides():
    said = (
        r"^--hold_out recordings needs two \(one to train on, one to validate with\), and all 8 files are chunks of"
        r" cd1/x_chunk; add another recording, or give --hold_out files$"
    )
    with pytest.raises(InputError, match=said):
        split(chunks("cd1/x", 8), 2)
    assert split(chunks("cd1/x", 8) + files("y.wav"), 2).validation == files("y.wav")


# --- What a resumed run finds ---


def test_chunks_that_recordings_held_out_have_got_are_on_neither_side(caplog):
    before = split(corpus_of(6, 2), 2, 0.25).names()
    corpus = chunks("a", 8) + chunks("b", 5) + chunks("new", 2)
    after = split(corpus, 2, 0.25, before)
    assert after.names()["validation"] == before["validation"]
    assert names(after.training) == names(chunks("a", 8) + chunks("new", 2))
    assert "Left out 3 chunks, new in recordings that the resumed run holds out." in caplog.text
    caplog.clear()
    again = split(chunks("a", 8) + chunks("b", 2), 2, 0.25, before)
    assert again.names()["validation"] == before["validation"] and not caplog.text


def test_a_recording_of_which_no_held_out_chunk_is_left_is_held_out_still(caplog):
    before = split(corpus_of(6, 2, 2), 2, 0.4).names()
    assert set(before["validation"]) == names(chunks("b", 2) + chunks("c", 2))
    after = split(chunks("a", 6) + chunks("b", 1, first=7) + chunks("c", 2), 2, 0.4, before)
    assert names(after.validation) == names(chunks("c", 2))
    assert names(after.training) == names(chunks("a", 6))
    assert "Left out 1 chunk, new in recordings that the resumed run holds out." in caplog.text


def test_where_files_are_held_out_new_chunks_are_trained_on(caplog):
    before = split_corpus(corpus_of(6, 2), 64, 2, 0.25).names()
    after = split_corpus(corpus_of(6, 4), 64, 2, 0.25, before)
    assert len(after.training) == 8 and not caplog.text


def test_less_than_a_batch_beside_what_is_held_out_names_a_batch_size_that_would_do():
    before = split(corpus_of(3, 5), 2, 0.6).names()
    assert set(before["validation"]) == names(chunks("b", 5))
    with pytest.raises(
        InputError,
        match="--batch_size 4: beside the 5 that are held out 3 files can be trained on; --batch_size 3",
    ):
        split(corpus_of(3, 5), 4, 0.6, before)
    split(corpus_of(3, 5), 3, 0.6, before)
    with pytest.raises(InputError, match="are held out 0 files can be trained on; add files, or use --resume False"):
        split(chunks("b", 8), 2, 0.6, before)


# --- A stretch of the time of each ---


def lying(hops, frames=1000):
    """Recordings a, b, … of chunks that each start so many samples after the one before: their files and places."""
    files_, places = [], {}
    for name, (number, hop) in zip("abcdefghij", hops):
        files_ += chunks(name, number)
        for k in range(number):
            places[f"{name}_chunk_{k + 1}.wav"] = Place(f"{name}_chunk", k * hop, k * hop + frames)
    return files_, places


def samples(part, places):
    """All samples of some files, one by one."""
    return {
        (places[file.name].recording, i) for file in part for i in range(places[file.name].start, places[file.name].end)
    }


@pytest.mark.parametrize("val_frac", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("hops", [[(40, 1000)], [(40, 250), (30, 1000), (20, 999)], [(50, 1), (60, 100)]])
def test_of_each_recording_a_stretch_is_held_out_that_shares_no_sample(hops, val_frac):
    corpus, places = lying(hops)
    divided = split_corpus(corpus, 64, 1, val_frac, None, "time", places)
    assert not samples(divided.training, places) & samples(divided.validation, places)
    for name, (number, hop) in zip("abcdefghij", hops):
        held_out = sorted(
            int(file.name.split("_")[-1][:-4]) for file in divided.validation if file.name.startswith(name)
        )
        if (number - 1) * hop < 2000:  # of which each chunk overlaps with nearly all
            assert held_out == []
            continue
        assert held_out == list(range(held_out[0], held_out[0] + max(1, round(val_frac * number))))
        left = {file.name for file in corpus if file.name.startswith(name)} - {
            file.name for file in divided.training + divided.validation
        }
        assert all(
            samples([file], places) & samples(divided.validation, places) for file in corpus if file.name in left
        )
    assert names(divided.validation) == names(
        split_corpus(corpus[::-1], 64, 1, val_frac, None, "time", places).validation
    )


def test_the_stretches_of_recordings_are_at_different_places():
    corpus, places = lying([(50, 1000)] * 10)
    held_out = split_corpus(corpus, 64, 1, 0.1, None, "time", places).validation
    assert len({min(places[file.name].start for file in held_out if file.name[0] == name) for name in "abcdefghij"}) > 5


def test_what_is_no_chunk_and_what_is_too_short_is_trained_on(caplog):
    corpus, places = lying([(20, 500), (3, 250)])
    divided = split_corpus([*corpus, *files("whole.wav")], 64, 1, 0.1, None, "time", places)
    assert {"whole.wav", *(f"b_chunk_{k}.wav" for k in (1, 2, 3))} <= names(divided.training)
    assert "Of 2 recordings 1 cannot be divided, having too few chunks" in caplog.text
    assert "overlapping with what is held out." in caplog.text
    with pytest.raises(InputError, match="--hold_out time: not one recording has enough chunks"):
        split_corpus(files("x.wav", "y.wav"), 64, 1, 0.1, None, "time", {})


def test_two_cuts_of_one_recording_share_nothing_either(tmp_path, music):
    soundfile.write(tmp_path / "x.wav", music, 16000)
    for folder, length, overlap in (("one", 1000, 500), ("two", 700, 0)):
        flags = (str(tmp_path / "x.wav"),), str(tmp_path / folder), length, overlap
        chunk_files(ChunkOptions(*flags, silence_thresh=None))
    corpus = scan_corpus((str(tmp_path / "one"), str(tmp_path / "two"))).recordings
    places, by_ear = find_places(corpus)
    divided = split_corpus(corpus, 64, 1, 0.1, None, "time", places)
    assert by_ear == 0 and {file.folder.name for file in divided.validation} == {".", "../two"}
    training, held_out = (list(map(milliseconds_of, part)) for part in (divided.training, divided.validation))
    assert not [1 for start, end in training for begin, stop in held_out if start < stop and begin < end]
    of_two = [file for file in corpus if file.folder.name == "../two"]
    assert find_overlaps(Split(corpus[:3], of_two)).held_out  # though their folders differ


def milliseconds_of(file):
    """From when to when a chunk of these cuts is."""
    number = int(file.path.stem.rpartition("_")[2])
    length, hop = {"one": (1000, 500), "two": (700, 700)}[file.path.parent.name]
    return (number - 1) * hop, (number - 1) * hop + length


@pytest.mark.parametrize("step", [1, 2, 3])
def test_chunks_of_which_some_are_missing_are_placed_by_listening(tmp_path, music, step):
    for number in range(1, 20, step):
        soundfile.write(tmp_path / f"x_chunk_{number}.wav", music[(number - 1) * 1000 :][:6000], 16000)
    places, by_ear = find_places(scan_corpus((str(tmp_path),)).recordings)
    assert by_ear == 1
    assert {name: place.start for name, place in places.items()} == {
        f"x_chunk_{number}.wav": (number - 1) * 1000 for number in range(1, 20, step)
    }


def test_chunks_that_a_divided_recording_has_got_are_trained_on_where_they_share_nothing():
    corpus, places = lying([(20, 500)])
    first = split_corpus(corpus[:10], 64, 1, 0.1, None, "time", places)
    later = split_corpus(corpus, 64, 1, 0.1, first.names(), "time", places)
    assert names(later.validation) == names(first.validation)
    assert names(later.training) == names(first.training) | names(corpus[10:]) - names(
        file for file in corpus[10:] if samples([file], places) & samples(first.validation, places)
    )
