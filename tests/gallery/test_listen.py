"""From clips to a page, and from picks to an album: what is in them, and what is said of what cannot be used."""

import errno
import json
import re

import numpy as np
import pytest
import soundfile

import listen
from samplernn.audio.chunk_notes import NOTES
from samplernn.audio.chunking import chunk_files
from samplernn.gallery import page, picks
from samplernn.gallery.clips import Made, find_excerpts, made_as
from samplernn.gallery.listen import listen as write_gallery
from samplernn.gallery.picks import FADE_SECONDS
from samplernn.gallery.training_music import find_passages
from samplernn.options.chunk_audio import ChunkOptions
from samplernn.options.listen import ListenOptions

RATE = 16000


def told_by(path):
    """The data of a page."""
    text = path.read_text(encoding="utf-8")
    (content,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(content)


@pytest.fixture
def put(tmp_path):
    """A function that writes a clip below `clips`, with a JSON of what is told of it; its path."""

    def put(name, audio, rate=RATE, **told):
        path = tmp_path / "clips" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, audio, rate)
        if told:
            path.with_suffix(".json").write_text(json.dumps(told))
        return path

    return put


@pytest.fixture
def page_of(run_script, tmp_path):
    """A function that makes a page of the clips; what it shows, and what was said."""

    def page_of(*flags):
        status, said, error = run_script(listen.main, "--input_dir", "clips", "--output_dir", "gallery", *flags)
        assert (status, error) == (0, ""), error
        return told_by(tmp_path / "gallery" / "index.html"), said

    return page_of


def noise(seconds, seed=0, rate=RATE):
    return np.random.default_rng(seed).normal(size=round(seconds * rate)) * 0.1


def test_clips_are_cut_into_equal_parts_each_with_what_is_known_of_it(put, page_of, tmp_path):
    flags = [{"flag": "clipped", "from": 0, "to": 2}, {"flag": "looping", "from": 8.0, "to": 12.0}]
    put("b.wav", noise(20), checkpoint={"path": "/runs/a/model.ckpt-12", "sha256": "0"}, temperature=0.9, flags=flags)
    put("sub/a.wav", noise(3, 1))
    put("c.wav", noise(26, 2, 8000), rate=8000)
    data, said = page_of()
    assert data["folder"] == str(tmp_path / "clips") and data["blind"] is False
    cards = data["cards"]
    assert [card["name"] for card in cards] == ["b.wav"] * 2 + ["c.wav"] * 3 + ["sub/a.wav"]
    assert [card["start"] for card in cards] == pytest.approx([0, 10, 0, 26 / 3, 52 / 3, 0], abs=1e-3)
    assert [card["end"] for card in cards] == pytest.approx([10, 20, 26 / 3, 52 / 3, 26, 3], abs=1e-3)
    assert [card["flags"] for card in cards[:3]] == [["clipped", "looping"], ["looping"], []]
    assert {(card["checkpoint"], card["epoch"], card["temperature"]) for card in cards[:2]} == {
        ("a/model.ckpt-12", 12, 0.9)
    }
    assert (cards[2]["checkpoint"], cards[2]["epoch"], cards[2]["distance"], cards[2]["copy"]) == (None,) * 4
    for card in cards:
        assert (tmp_path / "gallery" / card["file"]).samefile(tmp_path / "clips" / card["name"])
        assert (tmp_path / "gallery" / card["picture"]).read_bytes()[:2] == b"\xff\xd8"  # a JPEG
        assert 0 <= card["x"] <= 1 and 0 <= card["y"] <= 1 and card["novelty"] > 0
    assert "6 excerpts of 3 clips; 2 with flags." in said


def test_a_copy_is_found_among_others_with_its_place_in_the_recording(put, page_of, tmp_path, music):
    recording = np.concatenate([music, music[::-1], noise(5, 9)])  # 25 seconds
    soundfile.write(tmp_path / "album.wav", recording, RATE)
    chunks = ChunkOptions((str(tmp_path / "album.wav"),), str(tmp_path / "chunks"), 4000, 3000, silence_thresh=None)
    chunk_files(chunks)
    for k in range(5):
        put(f"new_{k}.wav", noise(10, k))
    stolen = noise(10, 77)
    stolen[4 * RATE : 8 * RATE] = recording[12 * RATE : 16 * RATE]
    put("stolen.wav", stolen)
    data, said = page_of("--training_dir", "chunks")
    (card,) = [card for card in data["cards"] if card["copy"]]
    assert card["name"] == "stolen.wav"
    copy = card["copy"]
    assert copy["name"] == "album" and copy["second"] - copy["start"] == pytest.approx(8, abs=0.1)
    assert copy["start"] == pytest.approx(4, abs=0.4) and copy["end"] == pytest.approx(8, abs=0.4)
    assert re.search(
        r"Near copy \([01]\.\d\d\): stolen.wav, [34]\.\d to [78]\.\d s, as album from 1[12]\.\d s on", said
    )
    assert all(card["distance"] > 0 and card["nearest"]["name"] == "album" for card in data["cards"])
    nearest = {card["nearest"]["second"] for card in data["cards"] if card["name"].startswith("new")}
    assert all(second >= 10 for second in nearest)  # the part of it that is noise


@pytest.mark.parametrize("noted", [True, False])
def test_chunks_are_the_recording_again_that_they_were_cut_from(tmp_path, music, noted):
    soundfile.write(tmp_path / "album.wav", music, RATE)
    options = ChunkOptions((str(tmp_path / "album.wav"),), str(tmp_path / "chunks"), 2000, 500, silence_thresh=None)
    chunk_files(options)
    if not noted:
        (tmp_path / "chunks" / NOTES).unlink()
    soundfile.write(tmp_path / "chunks" / "other.wav", music[:5000], RATE)
    other, whole = find_passages((str(tmp_path / "chunks"),))
    np.testing.assert_allclose(whole.read(), music[: len(whole.read())], atol=1 / 32768)
    assert len(whole.read()) == 9.5 * RATE and whole.name == "album" and whole.start == 0
    assert other.name == "other" and len(other.read()) == 5000
    for k in (3, 4):  # 3 to 6.5 s, of which neighbours have half a second on each side
        (tmp_path / "chunks" / f"album_chunk_{k}.wav").unlink()
    _, first, second = find_passages((str(tmp_path / "chunks"),))
    np.testing.assert_allclose(first.read(), music[: round(3.5 * RATE)], atol=1 / 32768)
    assert second.start == 6.0
    np.testing.assert_allclose(second.read(), music[6 * RATE : round(9.5 * RATE)], atol=1 / 32768)


def test_a_blend_is_of_both_checkpoints(put):
    blend = {"share": "0@0,1@30", "checkpoint": {"path": "/runs/b/model.ckpt-5", "sha256": "0"}}
    path = put("x.wav", noise(1), checkpoint={"path": "/runs/a/model.ckpt-12", "sha256": "0"}, blend=blend)
    made = made_as(path)
    assert made.checkpoints == ("/runs/a/model.ckpt-12", "/runs/b/model.ckpt-5") and made.epoch is None


HOSTILE = '</script><script>alert(1)</script><!-- " onload="x'


def test_what_is_told_of_a_clip_stays_data(put, page_of, tmp_path):
    put("x</script>.wav".replace("/", "∕"), noise(3), checkpoint={"path": HOSTILE}, temperature=HOSTILE,
        flags=[{"flag": HOSTILE, "from": 0, "to": 1}])  # fmt: skip
    data, _ = page_of()
    assert data["cards"][0]["temperature"] == HOSTILE and data["cards"][0]["flags"] == [HOSTILE]
    text = (tmp_path / "gallery" / "index.html").read_text(encoding="utf-8")
    assert "alert(1)</script>" not in text and text.count("<script") == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"checkpoint": 3, "temperature": [], "flags": {}, "blend": []}',
        '{"flags": [1, {"flag": 2}], "blend": {"checkpoint": {"path": 3}}}',
    ],
)
def test_another_programs_json_tells_nothing(put, text):
    path = put("x.wav", noise(1))
    path.with_suffix(".json").write_text(text)
    assert made_as(path) == Made()


def test_what_cannot_be_used_is_named_and_left_out(put, page_of, caplog, tmp_path):
    put("good.wav", noise(3))
    (tmp_path / "clips" / "bad.wav").write_text("I am a text")
    put("empty.wav", np.zeros(0))
    data, _ = page_of()
    assert [card["name"] for card in data["cards"]] == ["good.wav"]
    assert "Left out 2 of 3 files: bad.wav is not audio" in caplog.text and "empty.wav is empty" in caplog.text


def test_what_was_searched_in_vain_and_what_could_not_be_is_told_apart(put, page_of, tmp_path, music):
    (tmp_path / "music").mkdir()
    soundfile.write(tmp_path / "music" / "x.wav", np.concatenate([np.zeros(5 * RATE), music]), RATE)
    put("short.wav", music[:RATE])
    put("silent.wav", np.zeros(10 * RATE))
    put("drone.wav", 0.3 * np.sin(np.arange(10 * RATE) * 0.05))
    put("noise.wav", noise(10))
    data, said = page_of("--training_dir", "music")
    assert [card["copy"] for card in data["cards"]] == [None] * 4
    assert "Not searched for near copies: 3 excerpts of 4; they, or the music, are shorter than 2.9 seconds" in said


def test_a_copy_across_the_border_of_two_excerpts_is_found(put, page_of, tmp_path, music):
    (tmp_path / "music").mkdir()
    soundfile.write(tmp_path / "music" / "x.wav", music, RATE)
    clip = noise(20)
    clip[round(7.5 * RATE) : round(12.5 * RATE)] = music[2 * RATE : 7 * RATE]
    put("a.wav", clip)
    data, _ = page_of("--training_dir", "music")
    copy = data["cards"][0]["copy"]
    assert copy["start"] == pytest.approx(7.5, abs=0.4) and copy["second"] == pytest.approx(2, abs=0.4)


@pytest.mark.parametrize(
    "told",
    [
        {"temperature": float("nan")}, {"temperature": float("inf")}, {"temperature": True}, {"temperature": ""},
        {"temperature": 10**400}, {"flags": [{"flag": "x", "from": 0, "to": 10**400}]},
        {"checkpoint": {"path": "model.ckpt-" + "9" * 5000}},
        {"flags": [{"flag": "x", "from": float("nan"), "to": 1}, {"flag": "x", "from": 0, "to": float("inf")}]},
    ],
)  # fmt: skip
def test_numbers_that_are_none_are_not_told(put, page_of, told):
    put("a.wav", noise(1), **told)
    data, _ = page_of()
    (card,) = data["cards"]
    assert (card["temperature"], card["epoch"], card["checkpoint"], card["flags"]) == (None, None, None, [])


def test_what_a_folder_has_of_others_stays(put, run_script, tmp_path):
    put("a.wav", noise(3))
    (tmp_path / "mine" / "spectrograms").mkdir(parents=True)
    (tmp_path / "mine" / "spectrograms" / "thesis.jpg").write_text("x")
    (tmp_path / "mine" / "index.html").write_text("my home page")
    flags = ("--input_dir", "clips", "--output_dir", "mine")
    status, said, error = run_script(listen.main, *flags)
    assert (status, said) == (2, "") and "its index.html is another page" in error
    (tmp_path / "mine" / "index.html").unlink()
    for _ in range(2):
        assert run_script(listen.main, *flags)[0] == 0
        assert (tmp_path / "mine" / "spectrograms" / "thesis.jpg").read_text() == "x"
    assert len(list((tmp_path / "mine" / "spectrograms").iterdir())) == 2


def test_a_page_that_is_stopped_leaves_the_one_before_whole(put, page_of, tmp_path, monkeypatch):
    put("a.wav", noise(3))
    before, _ = page_of()
    text = (tmp_path / "gallery" / "index.html").read_bytes()
    put("b.wav", noise(3, 1))

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(page, "_filled", stop)
    with pytest.raises(KeyboardInterrupt):
        write_gallery(ListenOptions(output_dir=str(tmp_path / "gallery"), input_dir=str(tmp_path / "clips")))
    assert (tmp_path / "gallery" / "index.html").read_bytes() == text
    assert (tmp_path / "gallery" / before["cards"][0]["picture"]).exists()


def test_a_page_that_is_made_again_has_the_new_clips_and_is_known_to_the_browser(put, page_of, tmp_path):
    put("a.wav", noise(3))
    before, _ = page_of()
    put("b.wav", noise(3, 1))
    after, _ = page_of()
    assert before["gallery"] == after["gallery"] and len(after["cards"]) == 2
    assert after["cards"][0]["id"] == before["cards"][0]["id"]
    assert len(list((tmp_path / "gallery" / "spectrograms").iterdir())) == 2


def test_a_blind_page_has_another_order(put, page_of):
    for k in range(20):
        put(f"x_e={k:02d}.wav", noise(1, k))
    data, _ = page_of("--blind")
    names = [card["name"] for card in data["cards"]]
    assert data["blind"] and sorted(names) != names and len(set(names)) == 20


# --- What was chosen ---


@pytest.fixture
def album_of(run_script, tmp_path):
    """A function that makes an album of picks, (clip, start, end, stars); status, stdout, stderr."""

    def album_of(*picks, flags=(), folder="clips"):
        keys = ("clip", "start", "end", "stars")
        told = {"version": 1, "folder": str(tmp_path / folder), "picks": [dict(zip(keys, pick)) for pick in picks]}
        (tmp_path / "picks.json").write_text(json.dumps(told))
        return run_script(listen.main, "--export", "picks.json", "--output_dir", "album", *flags)

    return album_of


def test_picks_are_files_in_their_order_with_fades_and_can_be_made_again(put, album_of, tmp_path):
    audio = 0.5 * np.sin(np.arange(20 * RATE))
    put("a.wav", audio, command=["python", "generate.py"], random_seed=3)
    put("b.wav", audio[:8000], rate=8000)
    status, said, error = album_of(("b.wav", 0, 1, 5), ("a.wav", 5, 15, 3), ("a.wav", 15, 20, 3))
    assert (status, error) == (0, "") and "3 files in album." in said
    names = ["01 b.wav", "02 a.wav", "03 a.wav"]
    assert sorted(path.name for path in (tmp_path / "album").glob("*.wav")) == names
    piece, rate = soundfile.read(tmp_path / "album" / "02 a.wav")
    fade = round(FADE_SECONDS * RATE)
    assert rate == RATE and len(piece) == 10 * RATE
    np.testing.assert_allclose(piece[fade:-fade], audio[5 * RATE : 15 * RATE][fade:-fade], atol=1e-4)
    assert piece[0] == 0 and abs(piece[-1]) < 1e-3 and np.abs(piece[: fade // 10]).max() < 0.05
    assert (np.abs(piece) <= np.abs(audio[5 * RATE : 15 * RATE]) + 1e-4).all()
    told = json.loads((tmp_path / "album" / "02 a.json").read_text())
    assert told["command"] == ["python", "generate.py"] and told["random_seed"] == 3
    assert told["excerpt"] == {
        "clip": str(tmp_path / "clips" / "a.wav"), "from": 5.0, "to": 15.0, "fades": FADE_SECONDS, "stars": 3,
    }  # fmt: skip
    assert soundfile.info(tmp_path / "album" / "01 b.wav").samplerate == 8000


def test_clips_that_have_moved_are_found_where_the_user_says(put, album_of, tmp_path):
    put("a.wav", noise(3))
    status, _, error = album_of(("a.wav", 0, 3, 1), folder="gone")
    assert status == 2 and "a.wav is missing" in error and "name their folder by --input_dir" in error
    assert not (tmp_path / "album").exists()
    assert album_of(("a.wav", 0, 3, 1), folder="gone", flags=("--input_dir", "clips"))[0] == 0


def of_picks(*picks):
    return json.dumps({"version": 1, "folder": "clips", "picks": picks})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "--export picks.json: not valid JSON"),
        ("[]", "not what the page of listen.py exports"),
        (of_picks({"clip": "a.wav"}), "not what the page"),
        (of_picks({"clip": "a.wav", "start": float("nan"), "end": 1, "stars": 1}), "not what the page"),
        (of_picks({"clip": "a.wav", "start": 1e305, "end": 1e308, "stars": 1}), "not what the page"),
        (of_picks({"clip": "../clips/a.wav", "start": 0, "end": 1, "stars": 1}), "not what the page"),
        (of_picks({"clip": "a.wav", "start": 0, "end": 1, "stars": 99}), "not what the page"),
        (of_picks(), "there are no picks in it"),
        (of_picks({"clip": "a.wav", "start": 7, "end": 9, "stars": 1}), "a.wav ends before second 7"),
    ],
)
def test_picks_that_are_none_are_refused(put, run_script, tmp_path, text, complaint):
    put("a.wav", noise(3))
    (tmp_path / "picks.json").write_text(text)
    status, said, error = run_script(listen.main, "--export", "picks.json", "--output_dir", "album")
    assert (status, said) == (2, "") and complaint in error and error.count("\n") == 1
    assert not (tmp_path / "album").exists()


def test_an_album_is_there_as_a_whole_or_not_at_all(put, album_of, tmp_path, monkeypatch):
    put("a.wav", noise(3)), put("L" * 250 + ".wav", noise(3))
    plain = picks.write_json

    def full(path, content):
        if path.name.startswith("02"):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        plain(path, content)

    chosen = ("a.wav", 0, 3, 1), ("L" * 250 + ".wav", 0, 3, 1)
    monkeypatch.setattr(picks, "write_json", full)
    status, _, error = album_of(*chosen)
    assert status == 1 and "is the disk full?" in error and error.count("\n") == 1
    assert list((tmp_path / "album").iterdir()) == []
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert album_of(*chosen)[0] == 0 and len(list((tmp_path / "album").iterdir())) == 4


def test_an_album_that_is_heard_again_has_the_flags_of_its_parts(put, album_of, tmp_path):
    put("a.wav", noise(20), flags=[{"flag": "looping", "from": 0, "to": 5}, {"flag": "clipped", "from": 14, "to": 16}])
    album_of(("a.wav", 10, 20, 1))
    assert made_as(tmp_path / "album" / "01 a.wav").flags[1] == {"flag": "clipped", "from": 4, "to": 6}
    assert [excerpt.flags for excerpt in find_excerpts(str(tmp_path / "album"))] == [["clipped"]]


def test_an_album_is_not_mixed_with_another(put, album_of, tmp_path):
    put("a.wav", noise(3))
    (tmp_path / "album").mkdir()
    (tmp_path / "album" / "mine.wav").touch()
    status, _, error = album_of(("a.wav", 0, 3, 1))
    assert status == 2 and "there is mine.wav in it" in error
    assert [path.name for path in (tmp_path / "album").iterdir()] == ["mine.wav"]


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ((), "--input_dir names the clips"),
        (("--input_dir", "nowhere"), "--input_dir nowhere: there is no such folder"),
        (("--input_dir", "."), "--input_dir .: no WAV files in it"),
        (("--input_dir", "clips", "--training_dir", "nowhere"), "--training_dir.*no such folder"),
        (("--export", "picks.json", "--blind"), "--training_dir and --blind are about a page"),
        (("--export", "picks.json"), "--export picks.json: there is no such file"),
    ],
)
def test_misuse_is_one_line(put, run_script, tmp_path, flags, complaint):
    if "clips" in flags:
        put("a.wav", noise(1))
    status, said, error = run_script(listen.main, "--output_dir", "out", *flags)
    assert (status, said) == (2, "") and re.search(complaint, error) and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
