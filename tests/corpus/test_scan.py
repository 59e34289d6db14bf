"""The corpus: what is found in it, what is said and done about that, and that a file is read only once."""

import json
import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from conftest import damage

from samplernn.audio import wav as audio
from samplernn.corpus import scan as corpus
from samplernn.corpus.folders import absolute_folder, parse_folder
from samplernn.corpus.scan import CACHE, scan_corpus
from samplernn.system import progress
from samplernn.system.errors import InputError

DAMAGES = ["text", "truncated WAV", "empty", "NaN", "unseekable"]


def scan(*roots, **flags):
    return scan_corpus(tuple(map(str, roots)), **flags)


def names(found):
    return [recording.name for recording in found.recordings]


@pytest.fixture
def examined(monkeypatch):
    """The names of the files that are read."""
    seen = []

    def examine(path, name, listener):
        seen.append(name)
        return audio.examine(path, name, listener)

    monkeypatch.setattr(corpus, "examine", examine)
    return seen


@pytest.fixture
def mixed_corpus(make_corpus, music):
    """Four good files, and one of each kind that cannot be used."""
    root = make_corpus([2000] * 4)
    for kind in DAMAGES:
        damage(root / f"{kind}.wav", kind, music)
    soundfile.write(root / "other rate.wav", music[:2000], 44100)
    return root


# --- What is found ---


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_what_is_called_a_wav_and_is_no_file_is_named(make_corpus):
    root = make_corpus([1000, 1000])
    (root / "gone.wav").symlink_to("on a disk that is not there.wav")
    os.mkfifo(root / "pipe.wav")
    (root / "a folder.wav").mkdir()
    with pytest.raises(InputError, match="gone.wav is missing.*; pipe.wav is not a file"):
        scan(root)
    assert names(scan(root, skip_unusable=True)) == ["piece_0.wav", "piece_1.wav"]


def test_a_corpus_is_found_below_its_folder_in_the_order_of_names(make_corpus):
    root = make_corpus([1000, 1000, 1000])
    (root / "sub").mkdir()
    (root / "piece_0.wav").rename(root / "sub" / "last.WAV")
    (root / "piece_2.wav").rename(root / "piece_10.wav")
    (root / "piece_1.wav").rename(root / "piece_9.wav")
    (root / "._piece_9.wav").write_text("what macOS leaves on foreign disks")
    (root / "notes.txt").write_text("no audio")
    for _ in range(2):  # the second time from the cache
        assert names(scan(root)) == ["piece_9.wav", "piece_10.wav", "sub/last.WAV"]


def test_a_folder_that_is_missing_or_has_no_wav_is_named(tmp_path, music):
    with pytest.raises(InputError, match="nowhere: there is no such folder"):
        scan(tmp_path / "nowhere")
    for nothing in ("", ":2"):
        with pytest.raises(InputError, match="there is no such folder"):
            scan(nothing)
    with pytest.raises(InputError, match="no WAV files in it"):
        scan(tmp_path)
    soundfile.write(tmp_path / "music.flac", music, 16000)
    with pytest.raises(InputError, match="no WAV files, but 1 of other formats"):
        scan(tmp_path)


def test_there_is_nothing_to_say_about_a_good_corpus(make_corpus, caplog, capsys, tmp_path):
    found = scan(make_corpus([1000] * 3), strict=True)
    assert found.sample_rate == 16000
    assert caplog.text == capsys.readouterr().out == ""
    found.write_report(tmp_path)
    assert (tmp_path / "corpus.txt").read_text() == "3 files were examined, 3 of them can be used.\n"


# --- Several folders ---


@pytest.mark.skipif(os.name == "nt", reason="Windows has no colons in names")
@pytest.mark.parametrize(
    ("text", "folder", "weight"),
    [
        ("a", "a", 1),
        ("a:2", "a", 2),
        ("./a:0.5", "a", 0.5),
        ("a:1e-3", "a", 0.001),
        ("odd:2", "odd:2", 1),  # is there
        ("odd:2:3", "odd:2", 3),
        ("C:\\x", "C:\\x", 1),
        ("a:", "a:", 1),
        ("a:b", "a:b", 1),
    ],
)
def test_a_folder_may_have_a_weight(tmp_path, monkeypatch, text, folder, weight):
    monkeypatch.chdir(tmp_path)
    Path("odd:2").mkdir()
    assert parse_folder(text) == (Path(folder), weight)
    absolute = absolute_folder(text)
    monkeypatch.chdir("/")
    assert parse_folder(absolute) == (tmp_path / folder, weight)


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf", "1001", "-1e-9"])
def test_a_weight_that_is_none_is_refused(make_corpus, weight):
    with pytest.raises(InputError, match=f"--data_dir .*corpus:{weight}: the weight {weight} is not a number above 0"):
        scan(f"{make_corpus([1000])}:{weight}")


def test_files_of_a_further_folder_are_named_from_the_first_whose_names_stay(make_corpus, tmp_path, monkeypatch):
    a, b, _ = (make_corpus([1000] * 2, folder=folder) for folder in ("a", "b", "b/c"))
    alone = scan(a).recordings
    monkeypatch.chdir(b)
    (tmp_path / "link").symlink_to(a)
    for first, second in [(a, b), ("../a", "."), (f"{tmp_path}/link:2", "../a/../b:0.5")]:
        found = scan(first, second).recordings
        assert [recording.name for recording in found[:2]] == [recording.name for recording in alone]
        assert [recording.name for recording in found[2:]] == [
            *("../b/c/piece_0.wav", "../b/c/piece_1.wav", "../b/piece_0.wav", "../b/piece_1.wav")
        ]
        assert all(os.path.samefile(recording.path, a / recording.name) for recording in found)
    assert [recording.folder.weight for recording in found] == [2, 2, 0.5, 0.5, 0.5, 0.5]


def test_each_folder_keeps_what_was_found_in_it(make_corpus, examined):
    a, b = make_corpus([1000] * 2, folder="a"), make_corpus([1000] * 3, folder="b")
    both = scan(a, f"{b}:2")
    assert len(examined) == 5
    assert [recording.name for recording in scan(b).recordings] == [f"piece_{i}.wav" for i in range(3)]
    assert scan(a, f"{b}:2") == both
    assert len(examined) == 5


def test_a_file_that_two_folders_find_is_refused(make_corpus, tmp_path):
    a, b = make_corpus([1000], folder="a"), make_corpus([1000], folder="a/b")
    (tmp_path / "link").symlink_to(b)
    make_corpus([1000], folder="other")
    (tmp_path / "other" / "link.wav").symlink_to(b / "piece_0.wav")
    for one, other in [(a, a), (f"{a}:2", b), (b, tmp_path / "link"), (b, tmp_path / "other")]:
        with pytest.raises(InputError) as caught:
            scan(one, other)
        one = str(one).removesuffix(":2")
        assert f"--data_dir: {one} and {other} hold the same files, such as {a}/" in str(caught.value)


def test_what_is_said_of_several_folders_names_files_with_theirs(make_corpus, tmp_path, monkeypatch, music, caplog):
    make_corpus([2000] * 2, folder="a")
    b = make_corpus([2000], folder="b")  # of which a has the same
    soundfile.write(b / "silent.wav", np.zeros(2000), 16000)
    monkeypatch.chdir(tmp_path)
    assert scan("./a", "b:2").examined == 4
    assert caplog.messages[0].startswith("Silent (1 of 4 files): b/silent.wav. ")
    assert caplog.messages[1].startswith("Duplicate (1 of 4 files): b/piece_0.wav (the same audio as a/piece_0.wav). ")
    soundfile.write(b / "silent.wav", music[5000:7000], 44100)
    with pytest.raises(InputError, match=r"--data_dir \./a b:2: .* 44100 Hz \(1 file\).*: b/silent.wav \(44100 Hz\)"):
        scan("./a", "b:2")
    Path("c").mkdir()
    with pytest.raises(InputError, match="--data_dir c:2: no WAV files in it"):
        scan("a", "c:2")
    with pytest.raises(InputError, match="--data_dir d:2: there is no such folder"):
        scan("a", "d:2")


# --- What cannot be used ---


def test_every_file_that_cannot_be_used_is_named_with_the_reason(mixed_corpus):
    for _ in range(2):  # the second time from the cache
        with pytest.raises(InputError) as caught:
            scan(mixed_corpus)
        message = str(caught.value)
        assert "--skip_unusable True" in message and "\n" not in message
        for said in [
            "text.wav is not audio",
            "truncated WAV.wav is truncated",
            "empty.wav is empty",
            "NaN.wav has samples that are NaN",
            "unseekable.wav is compressed",
            "mixed sample rates, 16000 Hz (4 files), 44100 Hz (1 file); cut the recordings anew by chunk_audio.py"
            " --replace --sample_rate 16000, or convert these: other rate.wav",
        ]:
            assert said in message
        assert "piece" not in message


def test_files_that_cannot_be_used_are_skipped_named_and_counted(mixed_corpus, caplog, tmp_path):
    found = scan(mixed_corpus, skip_unusable=True)
    assert names(found) == [f"piece_{i}.wav" for i in range(4)]
    assert found.sample_rate == 16000
    found.write_report(tmp_path)
    report = (tmp_path / "corpus.txt").read_text()
    for kind, name in [
        ("unreadable", "text.wav"),
        ("truncated", "truncated WAV.wav"),
        ("empty", "empty.wav"),
        ("NaN or infinite", "NaN.wav"),
        ("unseekable", "unseekable.wav"),
        ("of another sample rate than 16000 Hz", "other rate.wav (44100 Hz)"),
    ]:
        assert f"Unusable, {kind} (1 of 10 files): {name}. Left out." in caplog.messages
        assert f"\nUnusable, {kind} (1 of 10 files). Left out.\n    {name}\n" in report


@pytest.mark.parametrize("skip_unusable", [False, True])
def test_a_corpus_of_nothing_but_unusable_files_is_refused(tmp_path, music, skip_unusable):
    damage(tmp_path / "a.wav", "text", music)
    with pytest.raises(InputError, match=r"not one file can be used; .*a\.wav is not audio"):
        scan(tmp_path, skip_unusable=skip_unusable)


def test_the_rate_of_most_files_is_kept_and_of_two_equals_the_first(tmp_path, music):
    for i, rate in enumerate([8000, 16000, 16000]):
        soundfile.write(tmp_path / f"{i}.wav", music[i * 1000 :][:2000], rate)
    assert names(scan(tmp_path, skip_unusable=True)) == ["1.wav", "2.wav"]
    (tmp_path / "2.wav").unlink()
    assert names(scan(tmp_path, skip_unusable=True)) == ["0.wav"]


def test_a_file_that_is_locked_is_tried_again_the_next_time(make_corpus, monkeypatch):
    root, open_ = make_corpus([1000, 1000]), Path.open

    def locked(self, *args, **kwargs):
        if self.name == "piece_1.wav":
            raise PermissionError(13, "Permission denied", str(self))
        return open_(self, *args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", locked)
        with pytest.raises(InputError, match=r"piece_1\.wav cannot be opened"):
            scan(root)
    assert names(scan(root)) == ["piece_0.wav", "piece_1.wav"]


# --- What is doubtful ---


@pytest.fixture
def doubtful_corpus(make_corpus, music):
    """Four good files, and one of each doubtful kind."""
    root = make_corpus([2000] * 4)
    soundfile.write(root / "silent.wav", np.zeros(2000), 16000)
    soundfile.write(root / "clipped.wav", np.clip(music[50000:52000] * 100, -1, 1), 16000)
    soundfile.write(root / "short.wav", music[60000:60500], 16000)
    soundfile.write(root / "twin.wav", music[1000:3000], 16000, subtype="PCM_24")  # that of 16 bits, in 24
    return root


SAID = [
    "Silent (1 of 8 files): silent.wav",
    "Clipped (1 of 8 files): clipped.wav",
    "Of another length than the commonest, 2000 samples (1 of 8 files): short.wav (500 samples)",
    "Duplicate (1 of 8 files): twin.wav (the same audio as piece_1.wav)",
]


def test_doubtful_files_are_used_and_said(doubtful_corpus, caplog):
    assert len(scan(doubtful_corpus).recordings) == 8
    assert len(caplog.messages) == len(SAID)
    for said, message in zip(SAID, caplog.messages):
        assert message.startswith(f"{said}. Used ")
    assert "the validation loss flatters" in caplog.messages[-1]


def test_strict_refuses_doubtful_files_and_names_all(doubtful_corpus, music):
    with pytest.raises(InputError) as caught:
        scan(doubtful_corpus, strict=True)
    assert str(caught.value).endswith("; ".join(SAID))
    damage(doubtful_corpus / "text.wav", "text", music)
    with pytest.raises(InputError, match=r"text\.wav is not audio"):
        scan(doubtful_corpus, strict=True)
    with pytest.raises(InputError, match=r"--strict True refuses .*Silent \(1 of 9 files\): silent\.wav"):
        scan(doubtful_corpus, strict=True, skip_unusable=True)


def test_stereo_is_said_but_not_doubtful(make_corpus, music, caplog):
    root = make_corpus([2000])
    soundfile.write(root / "stereo.wav", music[4000:8000].reshape(-1, 2), 16000)
    scan(root, strict=True)
    assert caplog.messages == ["More than one channel (1 of 2 files): stereo.wav. Mixed down to mono."]


def test_ten_names_of_a_kind_are_shown_and_all_are_in_the_report(tmp_path, caplog):
    for i in range(13):
        soundfile.write(tmp_path / f"{i}.wav", np.zeros(1000 + i), 16000)
    found = scan(tmp_path)
    assert caplog.messages[0] == (
        "Silent (13 of 13 files): 0.wav, 1.wav, 2.wav, 3.wav, 4.wav, 5.wav, 6.wav, 7.wav, 8.wav, 9.wav and 3 more."
        " Used all the same."
    )
    found.write_report(tmp_path)
    silent = (tmp_path / "corpus.txt").read_text().split("\n\n")[1].splitlines()
    assert silent[1:] == [f"    {i}.wav" for i in range(13)]


@pytest.mark.parametrize(("factor", "silent"), [(0.999, True), (1.001, False)])
def test_a_file_is_silent_up_to_minus_64_db(tmp_path, monkeypatch, caplog, factor, silent):
    monkeypatch.setattr(audio, "READ_FRAMES", 300)
    level = 10 ** (-64 / 20) * factor
    soundfile.write(tmp_path / "level.wav", np.tile(np.float32([level, -level]), 500), 16000, subtype="FLOAT")
    scan(tmp_path)
    assert caplog.text.count("Silent") == silent


def test_music_in_half_of_a_file_is_not_silence(tmp_path, music, caplog):
    soundfile.write(tmp_path / "half.wav", np.r_[np.zeros(2000), music[:2000]], 16000)
    scan(tmp_path)
    assert not caplog.text


def test_what_cancels_out_when_mixed_down_is_silent(tmp_path, music, caplog):
    soundfile.write(tmp_path / "opposite.wav", np.stack([music[:2000], -music[:2000]], axis=1), 16000, subtype="FLOAT")
    scan(tmp_path)
    assert "Silent (1 of 1 file): opposite.wav" in caplog.text


def plain_is_clipped(samples):
    """The rule as it reads, sample by sample, for int16 [frames, channels]."""
    cut_off = 0
    for channel in samples.T.tolist():
        run = 0
        for sample in channel:
            run = run + 1 if sample in (32767, -32767, -32768) else 0
            cut_off += run >= 3
    return cut_off > 10


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("peak", [1, 2, 3, 12, 13])
@pytest.mark.parametrize("peaks", [1, 10, 11])
@pytest.mark.parametrize("read_frames", [2**18, 7])
def test_clipping_is_found_as_by_the_plain_rule(tmp_path, monkeypatch, caplog, channels, peak, peaks, read_frames):
    monkeypatch.setattr(audio, "READ_FRAMES", read_frames)
    samples = np.random.default_rng(0).integers(-32766, 32767, [500, channels]).astype(np.int16)
    for i in range(peaks):
        samples[20 + 40 * i :][:peak, i % channels] = (32767, -32768)[i % 2]
    soundfile.write(tmp_path / "peaks.wav", samples, 16000)
    scan(tmp_path)
    assert ("Clipped" in caplog.text) == plain_is_clipped(samples)


def test_the_plain_rule_tells_peaks_from_clipping():
    peaks = np.zeros([500, 1], np.int16)
    peaks[::3] = peaks[1::3] = 32767
    assert not plain_is_clipped(peaks)
    assert plain_is_clipped(np.full([13, 1], 32767)) and not plain_is_clipped(np.full([12, 1], 32767))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_any_name_is_one_line_of_the_report(tmp_path, caplog):
    for name in ("two\nlines.wav", "é.wav"):
        soundfile.write(tmp_path / name, np.zeros(1000), 16000)
    try:
        (tmp_path / os.fsdecode(b"\xff.wav")).write_text("no audio")
    except OSError:
        pytest.skip("this file system refuses such names too")
    found = scan(tmp_path, skip_unusable=True)
    assert any(message.startswith("Silent (2 of 3 files): two\\nlines.wav, é.wav.") for message in caplog.messages)
    found.write_report(tmp_path)
    report = (tmp_path / "corpus.txt").read_text(encoding="utf-8").splitlines()
    assert {"    \\udcff.wav", "    two\\nlines.wav", "    é.wav"} <= set(report)


# --- What is kept ---


def test_only_what_has_changed_is_read_again(mixed_corpus, music, examined):
    first = scan(mixed_corpus, skip_unusable=True)
    assert len(examined) == 10
    examined.clear()
    assert scan(mixed_corpus, skip_unusable=True) == first
    assert examined == []  # nor what cannot be used

    soundfile.write(mixed_corpus / "text.wav", music[:2000], 16000)
    stat = (mixed_corpus / "piece_2.wav").stat()
    os.utime(mixed_corpus / "piece_2.wav", ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    (mixed_corpus / "piece_3.wav").unlink()
    soundfile.write(mixed_corpus / "new.wav", music[9000:11000], 16000)
    second = scan(mixed_corpus, skip_unusable=True)
    assert sorted(examined) == ["new.wav", "piece_2.wav", "text.wav"]
    assert names(second) == ["new.wav", "piece_0.wav", "piece_1.wav", "piece_2.wav", "text.wav"]
    assert "piece_3.wav" not in json.loads((mixed_corpus / CACHE).read_text())["files"]


FACTS = {"size": 1, "mtime_ns": 1, "problem": "", "sample_rate": 16000, "frames": 1000, "channels": 1,
         "silent": False, "clipped": False, "digest": "0"}  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        "", "null", "[]", "3", '"text"', "{}", "no JSON", "[" * 100_000, "\x00", "NaN", '{"version": 1}',
        '{"version": 1, "files": null}', '{"version": 1, "files": [1]}', '{"version": [], "files": {}}',
        {"version": 2, "files": {"piece_0.wav": FACTS}},
        *({"version": 1, "files": {"piece_0.wav": facts}} for facts in [
            None, 1, "text", [], [1] * 9, {}, {**FACTS, "more": 1}, {"size": 1},
            *({**FACTS, name: value} for name, value in [
                ("problem", "unheard of"), ("problem", ["empty"]), ("problem", None), ("sample_rate", 0),
                ("sample_rate", "16000"), ("sample_rate", 16000.0), ("frames", -1), ("frames", True), ("channels", {}),
                ("silent", 1), ("clipped", None), ("digest", []), ("digest", {"a": 1}),
            ]),
        ]),
    ],
)  # fmt: skip
def test_a_cache_that_is_damaged_or_foreign_is_ignored_and_replaced(make_corpus, examined, content):
    root = make_corpus([1000])
    stat = (root / "piece_0.wav").stat()
    text = content if isinstance(content, str) else json.dumps(content)
    stamped = text.replace('"size": 1', f'"size": {stat.st_size}').replace('ns": 1', f'ns": {stat.st_mtime_ns}')
    (root / CACHE).write_text(stamped)
    for _ in range(2):
        (recording,) = scan(root).recordings
        assert (recording.sample_rate, recording.frames, recording.channels) == (16000, 1000, 1)
    assert examined == ["piece_0.wav"]  # once: the second time it is in the cache


def test_a_sound_cache_is_believed(make_corpus, examined):
    root = make_corpus([1000])
    stat = (root / "piece_0.wav").stat()
    facts = {**FACTS, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "frames": 777}
    (root / CACHE).write_text(json.dumps({"version": 1, "files": {"piece_0.wav": facts}}))
    assert scan(root).recordings[0].frames == 777
    assert examined == []


def test_where_no_cache_can_be_written_there_is_none(make_corpus, examined):
    root = make_corpus([1000])
    (root / CACHE).mkdir()  # in the place of the file
    for _ in range(2):
        scan(root)
    assert examined == ["piece_0.wav"] * 2
    assert sorted(path.name for path in root.iterdir()) == [CACHE, "piece_0.wav"]


def test_scans_side_by_side_do_not_disturb_each_other(make_corpus, examined):
    root = make_corpus([500] * 20)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(scan, [root] * 4))
    assert all(names(one) == [f"piece_{i}.wav" for i in range(20)] for one in found)
    examined.clear()
    assert scan(root) == found[0]
    assert examined == []
    assert {path.name for path in root.iterdir()} == {CACHE, *names(found[0])}


def test_an_interrupted_scan_goes_on_where_it_was(make_corpus, monkeypatch, examined):
    monkeypatch.setattr(corpus, "THREADS", 1)
    root, examine = make_corpus([500] * 5), corpus.examine

    def interrupted(path, name, listener):
        if name == "piece_3.wav":
            raise KeyboardInterrupt
        return examine(path, name, listener)

    with monkeypatch.context() as patched:
        patched.setattr(corpus, "examine", interrupted)
        with pytest.raises(KeyboardInterrupt):
            scan(root)
    assert {"piece_0.wav", "piece_1.wav", "piece_2.wav"} <= set(examined)
    before = list(examined)
    assert len(scan(root).recordings) == 5
    assert len(examined) == len(set(examined)) == 5 and examined[: len(before)] == before


def test_a_scan_that_is_interrupted_keeps_what_others_have_found(make_corpus, monkeypatch, examined):
    root = make_corpus([500] * 3)

    def interrupted(path, name, listener):
        with monkeypatch.context() as patched:
            patched.setattr(corpus, "examine", examine)
            scan(root)
        raise KeyboardInterrupt

    monkeypatch.setattr(corpus, "THREADS", 1)
    examine = corpus.examine
    with monkeypatch.context() as patched:
        patched.setattr(corpus, "examine", interrupted)
        with pytest.raises(KeyboardInterrupt):
            scan(root)
    examined.clear()
    scan(root)
    assert examined == []


# --- What is said meanwhile ---


class Terminal(StringIO):
    def isatty(self):
        return True


@pytest.fixture
def slow_clock(monkeypatch):
    """Each look at the clock is 0.7 seconds later than the one before."""
    ticks = count()
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(ticks) * 0.7))
    monkeypatch.setattr("tqdm.std.time", lambda: next(ticks) * 0.7)


def test_a_long_scan_shows_a_bar_on_a_terminal_and_removes_it(make_corpus, monkeypatch, slow_clock):
    root = make_corpus([500] * 4)
    monkeypatch.setattr(sys, "stdout", Terminal())
    scan(root)
    shown = sys.stdout.getvalue()
    assert "\n" not in shown and "50% 2 of 4 files examined |" in shown and "100% 4 of 4 files examined |" in shown
    *_, full, blank, end = shown.split("\r")
    assert full.startswith("100% ") and "|####" in full and blank == " " * len(full) and end == ""


def test_a_long_scan_says_a_line_now_and_then_elsewhere(make_corpus, slow_clock, capsys):
    scan(make_corpus([500] * 30))
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.endswith(" of 30 files examined") and int(first.split()[0]) > 10
    assert len(rest) <= 1


def test_a_short_scan_and_a_worker_that_is_not_the_first_say_nothing(make_corpus, monkeypatch, caplog, request):
    root = make_corpus([500] * 4)
    monkeypatch.setattr(sys, "stdout", Terminal())
    scan(root)
    request.getfixturevalue("slow_clock")
    caplog.set_level(logging.ERROR, "samplernn")
    (root / CACHE).unlink()
    scan(root)
    assert sys.stdout.getvalue() == ""
