"""Recordings from a server of our own: pages, lists, feeds, files, and all that may go wrong with them."""

import json
import re
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

import fetch_audio
from samplernn.audio.chunking import chunk_files
from samplernn.fetching import downloads, fetch
from samplernn.fetching.fetched import FETCHED
from samplernn.options.chunk_audio import ChunkOptions

SECOND = 16000


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; of what is called so a half, then nothing more, or the end."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append(self.path)
        half = Path(self.directory, self.path.strip("/"))
        if half.suffix == ".wav" and half.stem in ("stalled", "cut_off"):
            content = half.read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "audio/wav")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            if half.stem == "stalled":
                self.server.ended.wait()
            self.close_connection = True
        else:
            super().do_GET()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, *_):
        """Who asks may leave before he has heard all."""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder that is served, at `site.address`; what was asked for is in `site.asked`."""
    monkeypatch.setattr(downloads, "STALLED_SECONDS", 0.5)
    monkeypatch.setattr(downloads, "RETRIES", 1)
    folder = tmp_path / "site"
    folder.mkdir()
    with Server(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
        server.asked, server.ended, server.folder = [], threading.Event(), folder
        server.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.ended.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def put(site, music):
    """A function that puts a second of music, from one of its seconds on, at a name; returns its int16 samples."""

    def put(name, second=0, seconds=1, rate=SECOND, channels=1, **how):
        audio = music[second * SECOND :][: seconds * SECOND]
        audio = np.stack([audio, audio[::-1]][:channels], axis=1)
        path = site.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, audio, rate, **how)
        return np.clip(np.rint(audio * 32768), -32768, 32767).astype(np.int16)

    return put


@pytest.fixture
def fetched(site, run_script, tmp_path):
    """A function that fetches addresses of the site; the status, and what is said on stdout and stderr."""

    def fetched(*names, **flags):
        given = [text for name, value in flags.items() for text in (f"--{name}", value)]
        urls = [name if "//" in name else f"{site.address}/{name}" for name in names]
        return run_script(fetch_audio.main, "--url", *urls, "--output_dir", "albums", *given)

    return fetched


def written(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def notes(folder):
    return json.loads((folder / FETCHED).read_text())["downloads"]


def samples(path):
    return soundfile.read(path, dtype="int16", always_2d=True)[0]


def page(site, name, body, title="My album"):
    (site.folder / name).write_text(f"<html><head><title>{title}</title></head><body>{body}</body></html>")


def test_a_file_is_fetched_sample_for_sample_and_noted(site, put, fetched, tmp_path):
    audio = put("a song.wav", channels=2)
    status, said, complaint = fetched("a%20song.wav")
    assert (status, complaint) == (0, "")
    assert said.splitlines() == [
        fetch.RIGHTS,
        "Wrote albums/01 a song.wav: 1.0 seconds.",
        "1 file written to albums; 0 there before.",
    ]
    assert written(tmp_path / "albums") == ["01 a song.wav", FETCHED]
    np.testing.assert_array_equal(samples(tmp_path / "albums" / "01 a song.wav"), audio)
    (noted,) = notes(tmp_path / "albums").items()
    assert noted[0] == f"{site.address}/a%20song.wav"
    assert noted[1]["title"] == "a song" and (noted[1]["sample_rate"], noted[1]["channels"]) == (SECOND, 2)
    assert noted[1]["tracks"] == [{"file": "01 a song.wav", "title": "a song", "start": 0.0, "end": 1.0}]


def test_what_a_file_says_of_itself_is_its_name_and_kept(put, fetched, tmp_path):
    put("x.flac")
    with soundfile.SoundFile(tmp_path / "site" / "y.flac", "w", SECOND, 1) as file:
        file.title, file.artist = "Evening / Morning", "Somebody"
        file.write(np.zeros(SECOND))
    assert fetched("x.flac", "y.flac")[0] == 0
    assert written(tmp_path / "albums") == ["01 x.wav", "02 Evening ⧸ Morning.wav", FETCHED]
    kept = [download["file_tags"] for download in notes(tmp_path / "albums").values()]
    assert kept[1]["artist"] == "Somebody" and kept[1]["title"] == "Evening / Morning"


def test_files_have_the_rate_and_the_channels_that_are_asked_for(put, fetched, tmp_path):
    audio = put("x.wav", channels=2)
    assert fetched("x.wav", sample_rate=8000, mono=True)[0] == 0
    found, rate = soundfile.read(tmp_path / "albums" / "01 x.wav", dtype="float32")
    assert rate == 8000
    np.testing.assert_allclose(found, soxr.resample(audio.mean(axis=1) / 32768, SECOND, 8000, "VHQ"), atol=1 / 32768)


def test_all_that_a_page_has_is_an_album_in_order(site, put, fetched, tmp_path):
    expected = [put("one.wav", 1), put("sub/two.flac", 2), put("three.ogg", 3)]
    page(
        site,
        "page.html",
        '<audio src="one.wav"></audio> <audio controls><source src="/sub/two.flac"></audio>'
        '<audio src="missing.wav"></audio><audio src="three.ogg"></audio>',
    )
    status, said, complaint = fetched("page.html")
    album = ["My album/01 one.wav", "My album/02 two.wav", "My album/04 three.wav"]
    assert written(tmp_path / "albums") == [*album, FETCHED]
    for name, audio in zip(album[:2], expected):
        np.testing.assert_array_equal(samples(tmp_path / "albums" / name), audio)
    assert status == 1 and "Not fetched: missing, http" in said
    assert (
        complaint.startswith(f"Error: --url: not fetched: missing, {site.address}/missing.wav (") and "404" in complaint
    )
    assert complaint.count("\n") == 1 and complaint.endswith("The rest is there; the same command tries again\n")
    assert {download["album"] for download in notes(tmp_path / "albums").values()} == {"My album"}


def feed(site, *items):
    text = "".join(f'<item><title>{title}</title><enclosure url="{url}"/></item>' for title, url in items)
    (site.folder / "feed.xml").write_text(f'<rss version="2.0"><channel><title>Feed</title>{text}</channel></rss>')


def test_the_episodes_of_a_feed_are_fetched_once_and_later_ones_later(site, put, fetched, tmp_path):
    put("a.wav"), put("b.wav"), put("c.wav")
    feed(site, ("Old", f"{site.address}/a.wav"), ("Older", f"{site.address}/b.wav"))
    assert fetched("feed.xml")[0] == 0
    before = [(path, path.stat().st_mtime_ns) for path in (tmp_path / "albums").rglob("*.wav")]
    feed(site, ("New", f"{site.address}/c.wav"), ("Old", f"{site.address}/a.wav"), ("Older", f"{site.address}/b.wav"))
    site.asked.clear()
    status, said, _ = fetched("feed.xml", sample_rate=8000)
    assert status == 0 and "There already: albums/Feed/01 Old.wav." in said
    assert not {"/a.wav", "/b.wav"} & set(site.asked)
    assert [(path, path.stat().st_mtime_ns) for path, _ in before] == before
    assert written(tmp_path / "albums") == ["Feed/01 Old.wav", "Feed/02 Older.wav", "Feed/03 New.wav", FETCHED]
    (tmp_path / "albums" / "Feed" / "01 Old.wav").unlink()
    assert fetched("feed.xml")[0] == 0 and "Feed/01 Old.wav" in written(tmp_path / "albums")


def film(site, chapters):
    """A page about an album in one file, with chapters as (title, second)."""
    starts = [second for _, second in chapters]
    parts = [
        {"@type": "Clip", "name": name, "startOffset": start, "endOffset": end}
        for (name, start), end in zip(chapters, [*starts[1:], 9])
    ]
    about = {
        "@context": "https://schema.org", "@type": "VideoObject", "name": "Whole album", "hasPart": parts,
        "contentUrl": f"{site.address}/whole.wav", "uploadDate": "2020-01-01", "author": "Somebody",
    }  # fmt: skip
    page(site, "film.html", f'<script type="application/ld+json">{json.dumps(about)}</script>')


def test_an_album_in_one_file_is_cut_by_its_chapters(site, put, fetched, tmp_path):
    audio = put("whole.wav", seconds=9)
    film(site, [("Dawn", 0), ("Noon", 2.5), ("Dusk", 6), ("Beyond the end", 20)])
    assert fetched("film.html")[0] == 0
    names = [f"Whole album/0{i} {title}.wav" for i, title in enumerate(("Dawn", "Noon", "Dusk"), 1)]
    assert written(tmp_path / "albums") == [*names, FETCHED]
    whole = np.concatenate([samples(tmp_path / "albums" / name) for name in names])
    np.testing.assert_array_equal(whole, audio)
    ((address, noted),) = notes(tmp_path / "albums").items()
    assert address == f"{site.address}/film.html"
    assert [(track["start"], track["end"]) for track in noted["tracks"]] == [(0.0, 2.5), (2.5, 6.0), (6.0, 9.0)]
    assert noted["tags"]["upload_date"] == "20200101"
    (tmp_path / "albums" / names[1]).unlink()  # then it is not whole any more
    (tmp_path / "albums" / names[0]).write_bytes(b"edited")
    status, said, _ = fetched("film.html")
    assert status == 0 and written(tmp_path / "albums") == [*names, FETCHED]
    assert (tmp_path / "albums" / names[0]).read_bytes() == b"edited"
    assert said.splitlines()[-1] == "1 file written to albums; 2 there before."


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("stalled", "timed out"),
        ("cut_off", "bytes read|more expected|than expected"),
        ("missing", "404"),
    ],
)
def test_what_cannot_be_had_is_named_and_the_rest_goes_on(put, fetched, tmp_path, name, complaint):
    put("stalled.wav"), put("cut_off.wav"), put("good.wav")
    status, said, error = fetched(f"{name}.wav", "good.wav")
    assert status == 1
    assert written(tmp_path / "albums") == ["02 good.wav", FETCHED]
    assert error.startswith("Error: --url: not fetched: ") and error.count("\n") == 1
    assert re.search(complaint, error), error


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not audio at all" * 100])
def test_what_is_no_audio_is_named(site, fetched, tmp_path, content):
    (site.folder / "x.wav").write_bytes(content)
    status, _, error = fetched("x.wav")
    assert status == 1 and error.count("\n") == 1
    assert written(tmp_path / "albums") == []


def test_hostile_names_lead_nowhere_else(site, put, fetched, tmp_path):
    put("x.wav")
    names = [
        "../../../evil",
        "/etc/passwd",
        "..",
        ".hidden",
        "",
        "a\x1b[2Jb",
        "x" * 500,
        "CON",
        "a\nb",
        "%(id)s",
        "$HOME ~",
    ]
    items = [(name.replace("\x1b", "&#155;"), f"{site.address}/x.wav?{i}") for i, name in enumerate(names)]
    feed(site, *items)
    page(site, "page.html", '<audio src="x.wav?a"></audio><audio src="x.wav?b"></audio>', title="../../up")
    status, said, error = fetched("feed.xml", "page.html")
    assert (status, error) == (0, "")
    found = list((tmp_path / "albums").rglob("*.wav"))
    assert len(found) == len(names) + 2
    assert all(path.name[:2].isdigit() and path.name.isprintable() and len(path.name) < 160 for path in found)
    assert {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*.wav")} == {"albums", "site"}
    assert all(line.isprintable() for line in said.splitlines())


def test_a_list_that_leads_to_itself_ends(site, put, fetched, tmp_path):
    put("x.wav")
    feed(site, ("Again", f"{site.address}/feed.xml"), ("Music", f"{site.address}/x.wav"))
    status, said, error = fetched("feed.xml")
    assert status == 1 and "a list in lists in lists" in error
    assert len([name for name in written(tmp_path / "albums") if name.endswith("Music.wav")]) == 1


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ytsearch:music", "music", "ftp://x/y.wav", "http://"])
def test_what_is_no_address_of_the_web_is_refused(fetched, tmp_path, url, run_script):
    status, said, error = run_script(fetch_audio.main, "--url", url, "--output_dir", "albums")
    assert status == 2 and said == "" and f"--url: {url!r} is not an address" in error and error.count("\n") == 1
    assert not (tmp_path / "albums").exists()


def test_notes_that_are_damaged_are_refused_and_kept(put, fetched, tmp_path):
    put("x.wav")
    (tmp_path / "albums").mkdir()
    track = {"title": "x", "start": 0, "end": 1}
    files = ("/x.wav", "a/../x.wav", ".", "fetched.json", "a\0b.wav", "\ud800.wav", 3)
    leads_out = [
        json.dumps({"version": 1, "downloads": {"a": {
            "title": "x", "album": None, "sample_rate": 1, "channels": 1, "tags": {}, "file_tags": {},
            "tracks": [track | {"file": file}],
        }}})
        for file in files
    ]  # fmt: skip
    for text in ("{", "[]", '{"version": 1, "downloads": {"a": {}}}', '{"version": 2, "downloads": {}}', *leads_out):
        (tmp_path / "albums" / FETCHED).write_text(text)
        status, said, error = fetched("x.wav")
        assert (status, said) == (2, "") and "fetched.json: " in error and "move it away" in error
        assert (tmp_path / "albums" / FETCHED).read_text() == text


def test_what_is_interrupted_leaves_nothing_half_written_and_is_fetched_again(put, fetched, tmp_path, monkeypatch):
    put("a.wav"), put("b.wav")

    @contextmanager
    def interrupt(path, *_):
        if "b" in asked[-1]:
            raise KeyboardInterrupt
        with writer(path, *_) as write:
            yield write

    asked, writer, look = [], fetch.wav_writer, downloads.Downloader.look

    def noted(self, address):
        asked.append(address.rpartition("/")[2])
        return look(self, address)

    monkeypatch.setattr(downloads.Downloader, "look", noted)
    monkeypatch.setattr(fetch, "wav_writer", interrupt)
    assert fetched("a.wav", "b.wav")[0] == 130
    assert written(tmp_path / "albums") == ["01 a.wav", FETCHED]
    assert [path.name for path in (tmp_path / "albums").iterdir() if path.is_dir()] == []
    monkeypatch.undo()


@pytest.mark.parametrize("folder", ["$HOME", "~", "${HOME}", "%(id)s", " sp ", "a\nb"])
def test_the_folder_may_have_any_name(site, put, run_script, tmp_path, monkeypatch, folder):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    put("x.wav")
    assert run_script(fetch_audio.main, "--url", f"{site.address}/x.wav", "--output_dir", folder)[0] == 0
    assert written(tmp_path / folder) == ["01 x.wav", FETCHED]
    assert {path.name for path in tmp_path.iterdir()} == {folder, "home", "site"}
    assert not list((tmp_path / "home").iterdir())


def test_addresses_that_change_from_day_to_day_are_those_of_the_same_files(site, put, fetched, tmp_path):
    put("x.wav"), put("y.wav", 1)
    for day in range(2):
        page(site, "page.html", f'<audio src="x.wav?token={day}"></audio><audio src="y.wav?token={day}"></audio>')
        assert fetched("page.html")[0] == 0
        assert written(tmp_path / "albums") == ["My album/01 x.wav", "My album/02 y.wav", FETCHED]


def test_a_stream_with_a_hole_is_not_fetched(site, put, fetched, tmp_path):
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:1", "#EXT-X-MEDIA-SEQUENCE:0"]
    for name in ("a.mp3", "gone.mp3", "b.mp3"):
        lines += ["#EXTINF:1.0,", name]
        if name != "gone.mp3":
            put(name, format="MP3", subtype="MPEG_LAYER_III")
    (site.folder / "list.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST"]))
    status, _, error = fetched("list.m3u8")
    assert status == 1 and "404" in error
    assert written(tmp_path / "albums") == []


HOSTILE_PAGES = [
    {"name": {"a": 1}, "contentUrl": "/x.wav"},
    {
        "name": "x",
        "contentUrl": "/x.wav",
        "hasPart": [{"@type": "Clip", "name": "a", "startOffset": start} for start in (0, 1e305)],
    },
    {"name": "x", "contentUrl": "/x.wav", "hasPart": [{"@type": "Clip", "name": "a", "startOffset": "NaN"}] * 3},
    {"name": "x", "contentUrl": 3},
    {"name": "x", "contentUrl": "/x.wav", "description": "y" * 10**6},
]


@pytest.mark.parametrize("about", HOSTILE_PAGES, ids=range(len(HOSTILE_PAGES)))
def test_whatever_a_page_says_the_rest_goes_on(site, put, fetched, tmp_path, about):
    put("x.wav"), put("good.wav")
    if isinstance(about["contentUrl"], str):
        about = about | {"contentUrl": site.address + about["contentUrl"]}
    about = {"@context": "https://schema.org", "@type": "VideoObject", "uploadDate": "2020-01-01"} | about
    page(site, "page.html", f'<script type="application/ld+json">{json.dumps(about)}</script>')
    status, said, error = fetched("page.html", "good.wav")
    assert status in (0, 1) and error.count("\n") == status
    assert "02 good.wav" in written(tmp_path / "albums")
    assert (tmp_path / "albums" / FETCHED).stat().st_size < 10000


@pytest.mark.parametrize("address", ["ytsearch5:music", "ftp://127.0.0.1/x.wav", "file:///etc/passwd"])
def test_what_a_feed_leads_to_is_of_the_web_too(site, fetched, tmp_path, address):
    feed(site, ("Elsewhere", address))
    status, _, error = fetched("feed.xml")
    assert status == 1 and "is not one of the web" in error
    assert written(tmp_path / "albums") == []


def test_names_that_files_have_are_left_to_them(site, put, fetched, tmp_path):
    put("x.wav")
    (tmp_path / "albums").mkdir()
    (tmp_path / "albums" / "Feed").write_text("mine")
    feed(site, ("Song", f"{site.address}/x.wav"))
    page(site, "page.html", '<audio src="x.wav?1"></audio><audio src="x.wav?2"></audio>', title=FETCHED)
    assert fetched("feed.xml", "page.html")[0] == 0
    names = ["Feed", "Feed_1/01 Song.wav", "fetched_1.json/01 x.wav", "fetched_1.json/02 x.wav"]
    assert written(tmp_path / "albums") == [*names[:2], FETCHED, *names[2:]]
    assert (tmp_path / "albums" / "Feed").read_text() == "mine"


def test_what_is_missing_of_an_album_comes_back_as_the_rest_is(site, put, fetched, tmp_path):
    put("whole.wav", seconds=6, channels=2)
    film(site, [("Dawn", 0), ("Dusk", 3)])
    fetched("film.html")
    (tmp_path / "albums" / "Whole album" / "02 Dusk.wav").unlink()
    assert fetched("film.html", sample_rate=8000, mono=True)[0] == 0
    facts = [soundfile.info(path) for path in (tmp_path / "albums").rglob("*.wav")]
    assert [(fact.samplerate, fact.channels, fact.frames) for fact in facts] == [(SECOND, 2, 3 * SECOND)] * 2
    (tmp_path / "albums" / "Whole album" / "02 Dusk.wav").unlink()
    film(site, [("Dawn", 0), ("Dusk", 4)])  # other parts, which are not in the files that are there
    fetched("film.html")
    names = ["01 Dawn.wav", "02 Dawn.wav", "03 Dusk.wav"]
    assert written(tmp_path / "albums" / "Whole album") == names


def test_two_do_not_fetch_into_one_folder_at_once(put, fetched, tmp_path):
    put("x.wav")
    (tmp_path / "albums").mkdir()
    with fetch._alone_in(tmp_path / "albums"):
        status, said, error = fetched("x.wav")
    assert (status, said) == (2, "") and "another fetch_audio.py fetches into albums" in error
    assert fetched("x.wav")[0] == 0 and written(tmp_path / "albums") == ["01 x.wav", FETCHED]


def test_what_is_fetched_can_be_cut(site, put, fetched, tmp_path):
    put("one.wav", 0, 3), put("two.wav", 3, 3)
    page(site, "page.html", '<audio src="one.wav"></audio><audio src="two.wav"></audio>')
    fetched("page.html")
    chunk_files(ChunkOptions((str(tmp_path / "albums"),), str(tmp_path / "chunks"), 1000, silence_thresh=None))
    assert written(tmp_path / "chunks")[:2] == ["My album/01 one_chunk_1.wav", "My album/01 one_chunk_2.wav"]


def test_the_remedy_is_said_where_a_site_needs_more(monkeypatch, fetched, site):
    def refuse(self, *args, **kwargs):
        self.params["logger"].warning("No supported JavaScript runtime could be found. YouTube …")
        self.params["logger"].warning("ffmpeg not found. The downloaded format may not be the best available")
        raise downloads.YoutubeDLError(
            "ERROR: [youtube] xyz: Requested format is not available. Use --list-formats for"
        )

    monkeypatch.setattr(downloads.YoutubeDL, "extract_info", refuse)
    status, _, error = fetched("watch")
    assert status == 1
    assert (
        "(Requested format is not available; this site wants a JavaScript runtime: pip install 'yt-dlp[deno]'" in error
    )
    assert "this site wants the program ffmpeg" in error
