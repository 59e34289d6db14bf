"""From recordings to windows, against a plain walk over the files."""

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from samplernn.audio.quantize import MuLaw
from samplernn.audio.wav import Folder, Recording
from samplernn.corpus import windows as dataset
from samplernn.corpus.loader import Loader
from samplernn.corpus.scan import scan_corpus
from samplernn.corpus.split import describe_mix, heard_in, split_corpus
from samplernn.corpus.windows import plan_rows
from samplernn.models.config import NO_TARGET
from samplernn.models.samplernn.config import SampleRNNConfig
from samplernn.system.errors import InputError, RunError

CONFIG = SampleRNNConfig(frame_sizes=(4, 16), seq_len=64, dim=8)


def recordings(*lengths):
    return [Recording(Path(f"{i}.wav"), f"{i}.wav", 16000, length, 1) for i, length in enumerate(lengths)]


def plain_windows(recording):
    """All windows of one file: `big` zeros of audio, then the file, cut every seq_len samples."""
    audio, _ = soundfile.read(recording.path, dtype="float32")
    tokens = MuLaw().encode(np.r_[np.zeros(16, np.float32), audio])
    return [tokens[i : i + 16 + 64] for i in range(0, len(audio) - 63, 64)]


@pytest.mark.parametrize("read_frames", [2**20, 128])
def test_equal_files_come_in_the_originals_order(make_corpus, monkeypatch, read_frames):
    monkeypatch.setattr(dataset, "READ_FRAMES", read_frames)
    corpus = scan_corpus((str(make_corpus([1000] * 6)),)).recordings
    numbers, windows = Loader(CONFIG, 2).training_epoch(corpus, 0, 0)
    steps = len(numbers)
    batches = list(windows)
    assert len(batches) == steps == 3 * (1000 // 64)
    pieces = {recording.name: plain_windows(recording) for recording in corpus}
    seen = []
    for group in range(3):  # two files side by side from their first window to their last, then the next two
        names = [self_name(pieces, batches[group * 15][0][row]) for row in range(2)]
        seen += names
        for step in range(15):
            x, y, reset = batches[group * 15 + step]
            for row, name in enumerate(names):
                np.testing.assert_array_equal(x[row], pieces[name][step])
            np.testing.assert_array_equal(y, x[:, 16:])
            assert reset.tolist() == [step == 0] * 2
    assert sorted(seen) == sorted(pieces)


def self_name(pieces, window):
    (name,) = [name for name, windows in pieces.items() if np.array_equal(windows[0], window)]
    return name


def test_the_order_depends_on_seed_and_epoch_alone(make_corpus):
    corpus = scan_corpus((str(make_corpus([256] * 8)),)).recordings

    def order(seed, epoch):
        return b"".join(x.tobytes() for x, _, _ in Loader(CONFIG, 2).training_epoch(corpus, seed, epoch)[1])

    assert order(0, 3) == order(0, 3)
    assert len({order(0, 0), order(0, 1), order(1, 0), order(1, 1)}) == 4


def test_a_row_that_finishes_its_file_takes_the_next(make_corpus):
    corpus = scan_corpus((str(make_corpus([64 * 5, 64 * 2, 64 * 2, 64 * 3 + 40])),)).recordings
    pieces = {recording.name: plain_windows(recording) for recording in corpus}
    numbers, windows = Loader(CONFIG, 2).training_epoch(corpus, 0, 0)
    steps = len(numbers)
    batches = list(windows)
    assert len(batches) == steps
    used = 0
    for row in range(2):
        step = 0
        while step < steps:
            assert batches[step][2][row]  # a file starts here, with its state from zero
            name = self_name(pieces, batches[step][0][row])
            for window in pieces[name][: steps - step]:
                np.testing.assert_array_equal(batches[step][0][row], window)
                used += 1
                step += 1
    assert used == 2 * steps


@pytest.mark.parametrize("read_frames", [2**20, 128])
def test_an_epoch_can_begin_at_any_of_its_windows(make_corpus, monkeypatch, read_frames):
    monkeypatch.setattr(dataset, "READ_FRAMES", read_frames)
    corpus = scan_corpus((str(make_corpus([64 * 5, 64 * 2, 64 * 2 + 7, 64 * 3 + 40, 64, 64 * 4])),)).recordings
    loader = Loader(CONFIG, 2)
    numbers, batches = loader.training_epoch(corpus, 0, 0)
    steps = len(numbers)
    batches = list(batches)
    assert len(batches) == steps == 8
    for first in range(steps + 2):
        numbers, rest = loader.training_epoch(corpus, 0, 0, first)
        rest = list(rest)
        assert numbers == range(first, steps) and len(rest) == max(0, steps - first)
        for ours, theirs in zip(rest, batches[first:]):
            for part, expected in zip(ours, theirs):
                np.testing.assert_array_equal(part, expected)


# --- Folders of different weights ---


def mixed(*folders):
    """Recordings of folders 0, 1, … given as (weight, lengths)."""
    return [
        replace(recording, name=f"{number}/{recording.name}", folder=Folder(Path(f"{number}"), f"{number}", weight))
        for number, (weight, lengths) in enumerate(folders)
        for recording in recordings(*lengths)
    ]


@pytest.mark.parametrize(
    ("weight", "files", "least", "more"),  # all are heard that often, and so many once more
    [(1, 5, 1, 0), (2, 4, 2, 0), (0.5, 6, 0, 3), (0.5, 5, 0, 3), (2.5, 4, 2, 2), (2.3, 5, 2, 2), (0.01, 80, 0, 1),
     (1.96, 10, 2, 0)],
)  # fmt: skip
def test_an_epoch_has_each_file_as_often_as_its_folder_weighs(weight, files, least, more):
    corpus = mixed((1, [640] * 3), (weight, [640] * files))
    random.Random(1).shuffle(corpus)
    drawn = []
    for epoch in range(6):
        times = Counter(recording.name for recording in heard_in(corpus, 0, epoch))
        assert [times[f"0/{i}.wav"] for i in range(3)] == [1, 1, 1]
        of_folder = {f"1/{i}.wav": times[f"1/{i}.wav"] for i in range(files)}
        assert sorted(of_folder.values()) == [least] * (files - more) + [least + 1] * more
        drawn.append(frozenset(name for name, number in of_folder.items() if number > least))
    assert len(set(drawn)) > 1 or more == 0
    assert heard_in(corpus, 0, 3) == heard_in(corpus, 0, 3)


def test_a_share_of_files_comes_to_all_of_them_in_time():
    corpus = mixed((0.25, [640] * 20))
    times = Counter(recording.name for epoch in range(400) for recording in heard_in(corpus, 7, epoch))
    assert len(times) == 20 and all(60 < number < 140 for number in times.values())  # 100 ± 4.6 standard deviations


def test_without_weights_an_epoch_is_the_files_shuffled_as_ever(make_corpus, monkeypatch):
    """As it was written before there were weights."""
    corpus = scan_corpus((str(make_corpus([64 * n for n in (5, 2, 2, 3, 1, 4)])),)).recordings
    planned = []
    monkeypatch.setattr(dataset, "plan_rows", lambda order, *rest: planned.append(order) or plan_rows(order, *rest))
    for epoch in range(3):
        Loader(CONFIG, 2).training_epoch(corpus, 5, epoch)
        order = list(corpus)
        random.Random(f"5/{epoch}").shuffle(order)
        assert planned.pop() == order


def test_an_epoch_of_weighted_folders_can_begin_at_any_of_its_windows(make_corpus):
    a, b = make_corpus([64 * 5, 64 * 2 + 7, 64 * 3], folder="a"), make_corpus([64 * 4, 64, 64 * 3], folder="b")
    corpus = scan_corpus((f"{a}:1.5", f"{b}:0.5")).recordings
    for epoch in range(2):
        loader = Loader(CONFIG, 2)
        numbers, batches = loader.training_epoch(corpus, 0, epoch)
        steps = len(numbers)
        batches = list(batches)
        starts = sum(int(reset.sum()) for _, _, reset in batches)
        assert len(batches) == steps and 2 <= starts <= 5 + 2
        for first in range(steps):
            rest = list(loader.training_epoch(corpus, 0, epoch, first)[1])
            assert len(rest) == steps - first
            for ours, theirs in zip(rest, batches[first:]):
                for part, expected in zip(ours, theirs):
                    np.testing.assert_array_equal(part, expected)


def test_weights_that_leave_too_little_to_an_epoch_are_refused():
    with pytest.raises(
        InputError, match=r"--batch_size 4: at the weights of --data_dir an epoch has 3 files, less than"
    ):
        split_corpus(mixed((0.75, [640] * 8)), 64, 4, 0.1)
    with pytest.raises(
        InputError, match="--data_dir: at a weight of 0.01 not one file of 1 is heard in an epoch; raise"
    ):
        split_corpus(mixed((1, [640] * 8), (0.01, [640] * 8)), 64, 2, 0.1)
    split = split_corpus(mixed((1, [640] * 8), (0.5, [640] * 8)), 64, 2, 0.1)
    assert split.mix == {"0": 1, "1": 0.5}


def test_what_is_held_out_is_held_out_whatever_folders_and_weights_are_added():
    alone = split_corpus(mixed((1, [640] * 12)), 64, 2, 0.3)
    more = mixed((3, [640] * 12), (0.5, [640] * 8))
    split = split_corpus(more, 64, 2, 0.3, alone.names())
    assert split.names()["validation"] == alone.names()["validation"]
    assert len(split.training) == 16


def test_the_mix_is_told_as_parts_of_an_epochs_time():
    corpus = mixed((2, [16000 * 60] * 3), (0.5, [16000 * 120] * 4), (1, [16000 * 30]))
    assert describe_mix(dict.fromkeys(recording.folder for recording in corpus), corpus[:7]) == [
        "0: 3 files to train on (3.0 minutes), weight 2, 60.0% of what is heard in an epoch",
        "1: 4 files to train on (8.0 minutes), weight 0.5, 40.0% of what is heard in an epoch",
        "2: 0 files to train on (0.0 minutes), weight 1, 0.0% of what is heard in an epoch",
    ]


# --- Rows ---


def test_rows_end_when_fewer_than_a_batch_are_live():
    rows = plan_rows(recordings(640, 64, 128, 64, 64), 2, 64)
    assert [[recording.frames for recording in row] for row in rows] == [[640], [64, 128, 64, 64]]


def test_validation_sees_every_window_once(make_corpus):
    corpus = scan_corpus((str(make_corpus([64 * 5, 64 * 2, 64 * 3, 64])),)).recordings
    expected = sorted(window.tobytes() for recording in corpus for window in plain_windows(recording))
    seen = []
    for x, y, _ in Loader(CONFIG, 3).validation_epoch(corpus)[1]:
        live = y[:, 0] != NO_TARGET
        assert ((y == NO_TARGET).all(axis=1) == ~live).all()
        np.testing.assert_array_equal(y[live], x[live, 16:])
        seen += [row.tobytes() for row in x[live]]
    assert sorted(seen) == expected


def names(part):
    return {recording.name for recording in part}


@pytest.mark.parametrize(
    ("files", "batch_size", "val_frac", "training", "validation"),
    [
        (64, 16, 0.25, 48, 16),
        (64, 16, 0.1, 48, 16),  # at least one batch
        (100, 10, 0.1, 90, 10),
        (107, 10, 0.1, 90, 10),
        (100, 10, 0.26, 70, 30),  # rounded to whole batches
        (100, 10, 0.0, 90, 10),
        (20, 10, 0.99, 10, 10),  # a batch is left to train on
    ],
)
def test_the_split_is_in_whole_batches(files, batch_size, val_frac, training, validation):
    split = split_corpus(recordings(*[1000] * files), 64, batch_size, val_frac)
    assert (len(split.training), len(split.validation)) == (training, validation)
    assert not names(split.training) & names(split.validation)


def test_the_split_is_the_same_on_every_run():
    corpus = recordings(*[1000] * 40)
    one, two = (split_corpus(corpus, 64, 4, 0.2).names() for _ in range(2))
    assert one == two
    held_out = split_corpus(recordings(*[1000] * 8), 64, 2, 0.25).names()["validation"]
    assert held_out == ["0.wav", "1.wav"]  # were this ever to change, resumed runs would train on what they held out


def test_added_files_never_move_validation_data_into_training():
    before = split_corpus(recordings(*[1000] * 40), 64, 4, 0.2)
    after = split_corpus(recordings(*[1000] * 60), 64, 4, 0.2, before.names())
    assert names(after.validation) == names(before.validation)
    assert len(after.training) == 52
    without = split_corpus(recordings(*[1000] * 60), 64, 4, 0.2)
    assert names(without.validation) != names(before.validation)


def test_what_is_left_out_is_said(caplog):
    split_corpus(recordings(1000, 1000, 1000, 1000, 1000, 63), 64, 2, 0.1)
    assert "Left out 1 of 6 files: shorter than a window of 64 samples." in caplog.text
    assert "Dataset truncated: 1 file is left out, to make whole batches of 2." in caplog.text


def test_files_missing_from_what_was_held_out_are_said(caplog):
    before = split_corpus(recordings(*[1000] * 8), 64, 2, 0.25).names()
    corpus = [recording for recording in recordings(*[1000] * 8) if recording.name != before["validation"][0]]
    after = split_corpus(corpus, 64, 2, 0.25, before)
    assert names(after.validation) == {before["validation"][1]}
    assert "Of the files that were held out before, 1 of 2 are here: they alone validate." in caplog.text


def test_too_few_files_name_a_batch_size_that_would_do():
    with pytest.raises(InputError, match="--batch_size 3 would do"):
        split_corpus(recordings(*[1000] * 7), 64, 4, 0.1)
    with pytest.raises(InputError, match="0 of 2 files hold a window of seq_len 64"):
        split_corpus(recordings(63, 10), 64, 1, 0.1)


@pytest.mark.parametrize("damage", ["unlink", "truncate", "empty"])
def test_a_file_that_changes_under_way_is_named(make_corpus, damage):
    corpus = scan_corpus((str(make_corpus([64 * 4] * 2)),)).recordings
    _, windows = Loader(CONFIG, 2).training_epoch(corpus, 0, 0)
    path = corpus[1].path
    if damage == "unlink":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: 44 + 2 * 64] if damage == "truncate" else b"")
    with pytest.raises(RunError, match=f"{path.name} was removed, cut short or damaged"):
        list(windows)
