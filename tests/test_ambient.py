"""From an album to a selection, all of it: docs/ambient.md, command by command, on the embedded music."""

import json
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import soundfile
from browsing import Page, needs_browser, open_browser
from conftest import MUSIC, ROOT, TINY


@pytest.fixture
def run(tmp_path):
    """A function that runs a script as a user does, and returns what it says."""

    def run(name, *flags):
        command = [sys.executable, str(ROOT / name), *map(str, flags)]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=900)
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run


@pytest.fixture
def serve(tmp_path):
    """A function that serves the first seconds of the music as an album of two tracks; the address of its page."""
    servers = []

    def serve(seconds):
        folder = tmp_path / "site"
        folder.mkdir()
        audio, rate = soundfile.read(MUSIC, dtype="int16")
        half = min(seconds * rate, len(audio)) // 2
        for name, part in (("first", audio[:half]), ("second", audio[half : 2 * half])):
            soundfile.write(folder / f"{name}.flac", part, rate)
        tracks = '<audio src="first.flac"></audio><audio src="second.flac"></audio>'
        (folder / "album.html").write_text(f"<html><head><title>Chorales</title></head><body>{tracks}</body></html>")
        handler = partial(SimpleHTTPRequestHandler, directory=folder)
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[0].serve_forever, args=[0.01], daemon=True).start()
        return f"http://127.0.0.1:{servers[0].server_port}/album.html"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@needs_browser
@pytest.mark.parametrize(
    ("seconds", "config", "epochs", "clips", "dur"),
    [
        pytest.param(20, TINY, 2, 2, 4, marks=pytest.mark.long, id="a tenth"),
        pytest.param(60, ROOT / "examples" / "demo.config.json", 4, 3, 10, marks=pytest.mark.shown, id="all of it"),
    ],
)
def test_the_way_from_an_album_to_a_selection(tmp_path, run, serve, seconds, config, epochs, clips, dur):
    if isinstance(config, dict):
        (tmp_path / "tiny.config.json").write_text(json.dumps(config))
        config = "tiny.config.json"
    run("fetch_audio.py", "--url", serve(seconds), "--output_dir", "albums", "--sample_rate", 16000, "--mono")
    albums = sorted(path.name for path in (tmp_path / "albums" / "Chorales").iterdir())
    assert albums == ["01 first.wav", "02 second.wav"]

    flags = ("--chunk_length", 2000, "--num_chunks", 2 * seconds, "--normalize", "loudness", "--remove_dc")
    run("chunk_audio.py", "--input_file", "albums", "--output_dir", "chunks", "--silence_thresh", None, *flags)
    assert len(list((tmp_path / "chunks").rglob("*.wav"))) == pytest.approx(2 * seconds, abs=2)

    training = ("--id", "album", "--data_dir", "chunks", "--config_file", config, "--batch_size", 4)
    kept = ("--max_checkpoints", None, "--generate", False, "--hold_out", "time")
    run("train.py", *training, "--num_epochs", epochs, *kept)

    flags = ("--all_checkpoints", "--num_seqs", clips, "--dur", dur, "--random_seed", 1)
    run("generate.py", "--output_path", "generated/album.wav", "--checkpoint_path", "logdir/album", *flags)
    wavs = sorted((tmp_path / "generated").glob("*.wav"))
    assert len(wavs) == epochs * clips
    album, rate = soundfile.read(tmp_path / "albums" / "Chorales" / "01 first.wav")
    soundfile.write(tmp_path / "generated" / "stolen.wav", album[2 * rate : 6 * rate], rate)

    said = run("listen.py", "--input_dir", "generated", "--training_dir", "chunks", "--output_dir", "gallery")
    assert "stolen.wav" in said.split("Near copy")[1]
    with open_browser(tmp_path) as browser:
        page = Page(browser, tmp_path).open()
        assert f" of {len(page.titles)} excerpts" in page.summary
        page.choose("flag", "near copy")
        assert "stolen" in page.names and "as 01 first from 0:0" in browser.page_source
        page.choose("flag", "")
        page.choose("epoch", epochs)
        page.keys("j", " ")
        page.wait(lambda: page.audio("currentTime") > 0.3)
        page.keys(" ", "3", "j", "5")
        page.all("#export")[0].click()
        page.wait((tmp_path / "picks.json").exists)

    run("listen.py", "--export", "picks.json", "--output_dir", "album")
    first, second = sorted((tmp_path / "album").glob("*.wav"))
    told = [json.loads(path.with_suffix(".json").read_text()) for path in (first, second)]
    assert [of["excerpt"]["stars"] for of in told] == [5, 3] and {of["complete"] for of in told} == {True}
    again = list(told[0]["command"])
    again[again.index("--output_path") + 1] = str(tmp_path / "again" / "x.wav")
    subprocess.run([sys.executable, *again[1:]], check=True, capture_output=True, timeout=600)
    made = next((tmp_path / "again").glob(f"*({told[0]['sequence']})*.wav"))
    np.testing.assert_array_equal(soundfile.read(made)[0], soundfile.read(told[0]["excerpt"]["clip"])[0])
