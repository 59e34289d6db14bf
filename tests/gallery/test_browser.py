"""The page in a real browser: played, given stars, filtered, ordered, exported, with the keyboard and the mouse.

Skipped where there is none.
"""

import json

import numpy as np
import pytest
import soundfile
from browsing import Page, needs_browser, open_browser

import listen

pytestmark = [pytest.mark.long, needs_browser]

CLIPS = [("a", 1, 0.8, ["clipped"]), ("b", 1, 0.9, []), ("c", 2, 0.8, []), ("d", 2, 0.9, ["looping"])]
WIDTHS = (1280, 400)


@pytest.fixture
def browser(tmp_path):
    with open_browser(tmp_path) as browser:
        yield browser


@pytest.fixture
def page(browser, tmp_path, run_script, music):
    """A page of four clips of two excerpts each, one of them stolen, open in the browser: functions to use it by."""
    for number, (name, epoch, temperature, flags) in enumerate(CLIPS):
        audio = np.random.default_rng(number).normal(size=20 * 16000) * 0.02 + np.sin(
            np.arange(20 * 16000) * 0.05 * (number + 1)
        )
        audio = audio / 4
        if name == "c":
            audio[: 8 * 16000] = music[16000 : 9 * 16000]
        (tmp_path / "clips").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "clips" / f"{name}.wav", audio, 16000)
        told = {
            "checkpoint": {"path": f"/run/model.ckpt-{epoch}"}, "temperature": temperature,
            "flags": [{"flag": flag, "from": 0, "to": 5} for flag in flags],
        }  # fmt: skip
        (tmp_path / "clips" / f"{name}.json").write_text(json.dumps(told))
    (tmp_path / "music").mkdir()
    soundfile.write(tmp_path / "music" / "album.wav", music, 16000)

    def make(*flags):
        where = ("--input_dir", "clips", "--training_dir", "music", "--output_dir", "gallery")
        assert run_script(listen.main, *where, *flags)[0] == 0

    return Page(browser, tmp_path, make)


def test_excerpts_are_played_from_where_one_clicks_to_their_ends(page):
    page.make().open()
    assert page.titles[:3] == ["a.wav, 0:00.0 to 0:10.0", "a.wav, 0:10.0 to 0:20.0", "b.wav, 0:00.0 to 0:10.0"]
    player = page.all("#list .player")[1]
    width = player.size["width"]
    from selenium.webdriver import ActionChains

    ActionChains(page.browser).move_to_element_with_offset(player, round(0.3 * width), 0).click().perform()
    page.wait(lambda: page.audio("currentTime") > 18.05)
    assert page.audio("src").endswith("clips/a.wav") and page.audio("currentTime") < 19.9
    page.keys(" ")
    page.wait(lambda: page.audio("paused"))
    paused = page.audio("currentTime")
    page.keys(" ")
    page.wait(lambda: page.audio("currentTime") > paused)
    page.browser.execute_script("document.getElementById('audio').currentTime = 19.8")
    page.wait(lambda: page.audio("paused"))  # at the end of the excerpt
    page.keys("k")
    page.keys(" ")
    page.wait(lambda: 0.1 < page.audio("currentTime") < 5)
    page.browser.execute_script("document.getElementById('audio').currentTime = 9.9")
    page.wait(lambda: page.audio("paused"))
    assert page.audio("currentTime") < 10.5  # though the clip goes on


def test_stars_are_given_by_keys_and_clicks_and_kept(page):
    page.make().open()
    page.keys("j", "4", "j", "j", "2")
    page.all("#list li")[3].find_elements("css selector", ".stars button")[4].click()
    assert page.summary == "8 of 8 excerpts, 3 with stars"
    page.open()
    assert page.summary == "8 of 8 excerpts, 3 with stars"
    pressed = [len(row.find_elements("css selector", "[aria-pressed=true]")) for row in page.all("#list li")]
    assert pressed == [4, 0, 2, 5, 0, 0, 0, 0]
    page.choose("min-stars", "4")
    assert page.titles == ["a.wav, 0:00.0 to 0:10.0", "b.wav, 0:10.0 to 0:20.0"]
    page.choose("order", "stars")
    assert page.titles == ["b.wav, 0:10.0 to 0:20.0", "a.wav, 0:00.0 to 0:10.0"]
    page.choose("min-stars", "0")
    page.keys("j", "0")  # the first one, which was given five
    page.make().open()  # the page is made anew
    assert page.summary == "8 of 8 excerpts, 2 with stars"


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"flag": "clipped"}, ["a"]),
        ({"flag": "none"}, ["a", "b", "b", "c", "d"]),
        ({"flag": "near copy"}, ["c"]),
        ({"epoch": "2"}, ["c", "c", "d", "d"]),
        ({"temperature": "0.9", "checkpoint": "run/model.ckpt-1"}, ["b", "b"]),
        ({"temperature": "0.8", "flag": "looping"}, []),
    ],
)
def test_filters_show_what_they_say(page, filters, names):
    page.make().open()
    for name, value in filters.items():
        page.choose(name, value)
    assert page.names == names
    assert len(page.all("#map circle:not(.out)")) == len(names)
    if not names:
        assert page.all("#list .nothing")[0].text == "Nothing passes these filters."


def test_orders_are_those_of_the_data(page):
    page.make().open()
    cards = page.browser.execute_script("return cards.map(({dot, ...card}) => card)")

    def by(key):
        return [f"{card['name']}, 0:{card['start']:04.1f} to 0:{card['end']:04.1f}" for card in sorted(cards, key=key)]

    for order, key in [
        ("novelty", lambda card: -card["novelty"]),
        ("distance", lambda card: -card["distance"]),
        ("near", lambda card: card["distance"]),
    ]:
        page.choose("order", order)
        assert page.titles == by(key)
    page.choose("order", "order")
    page.keys("j", "j", "j")
    page.choose("order", "similar")
    assert page.titles == by(lambda card: np.linalg.norm(np.subtract(card["point"], cards[2]["point"])))
    assert "Near copy" in page.browser.page_source and "as album from 0:0" in page.browser.page_source


def test_picks_are_exported_and_become_an_album(page, run_script):
    page.make().open()
    page.all("#export")[0].click()
    assert page.summary == "Nothing that is shown has stars yet."
    page.keys("j", "3", "j", "j", "5")
    page.all("#export")[0].click()
    picks = page.folder / "picks.json"
    page.wait(picks.exists)
    assert page.summary.startswith("2 picks exported: python listen.py --export picks.json")
    assert [(pick["clip"], pick["stars"]) for pick in json.loads(picks.read_text())["picks"]] == [
        ("b.wav", 5),
        ("a.wav", 3),
    ]
    assert run_script(listen.main, "--export", picks, "--output_dir", "album")[0] == 0
    assert sorted(path.name for path in (page.folder / "album").glob("*.wav")) == ["01 b.wav", "02 a.wav"]


def test_a_blind_page_tells_nothing_before_there_are_stars(page):
    page.make("--blind").open()
    text = page.all("body")[0].text
    assert "Excerpt 1\n" in text
    assert not any(told in text for told in (".wav,", "epoch 1", "temperature 0.8", "model.ckpt"))
    assert not any(label.is_displayed() for label in page.all(".made"))
    pictures = [picture.get_attribute("src").rpartition("/")[2] for picture in page.all("img")]
    assert pictures != sorted(pictures) and not any(name.partition(".")[0].isdecimal() for name in pictures[:1])
    labels = [player.get_attribute("aria-label") for player in page.all(".player")]
    assert all(label.startswith("Play Excerpt") for label in labels)
    page.keys("j", "3")
    (told,) = [row for row in page.all("#list li") if ".wav, 0:" in row.text]
    assert "temperature 0." in told.text and "run/model.ckpt-" in told.text


def test_keys_are_about_the_row_that_has_the_focus_and_leave_it_there(page):
    page.make().open()
    row = page.all("#list li")[4]
    page.browser.execute_script("arguments[0].focus()", row.find_element("css selector", ".player"))
    page.keys("5", " ")
    page.wait(lambda: page.audio("currentTime") > 0.2)
    assert page.audio("src").endswith("clips/c.wav") and row.get_attribute("aria-current") == "true"
    assert len(row.find_elements("css selector", "[aria-pressed=true]")) == 5
    assert page.browser.switch_to.active_element.accessible_name.startswith("Pause c.wav")
    page.browser.execute_script("arguments[0].focus()", row.find_elements("css selector", ".stars button")[1])
    page.keys("\n")  # on the second star
    assert len(row.find_elements("css selector", "[aria-pressed=true]")) == 2
    assert page.browser.switch_to.active_element.accessible_name == "2 stars"
    page.keys("j")
    assert page.browser.switch_to.active_element.accessible_name.startswith("Pause c.wav, 0:10.0")


def test_more_like_this_sorts_by_the_row_that_one_asks_of(page):
    page.make().open()
    for number in (6, 1):
        page.choose("order", "order")
        row = page.all("#list li")[number]
        title = row.find_element("css selector", ".name").text
        row.find_element("css selector", ".like").click()
        assert page.titles[0] == title


def test_what_is_filtered_away_is_neither_played_nor_rated_nor_exported(page):
    page.make().open()
    page.keys("j", "5", " ")
    page.wait(lambda: page.audio("currentTime") > 0.1)
    page.choose("epoch", "2")
    assert page.audio("paused")
    page.browser.execute_script("document.activeElement.blur()")
    page.keys("1")
    page.choose("epoch", "")
    assert page.summary == "8 of 8 excerpts, 1 with stars"
    assert len(page.all("#list li:first-child [aria-pressed=true]")) == 5


@pytest.mark.parametrize("width", WIDTHS)
def test_it_fits_and_can_be_used_without_a_mouse_or_eyes(page, width):
    page.make().open()
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    assert page.browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    for control in page.all("select, button, svg, audio ~ *[tabindex]"):
        named = control.accessible_name
        assert named, control.get_attribute("outerHTML")
    from selenium.webdriver.common.keys import Keys

    reached = []
    for _ in range(12):
        page.keys(Keys.TAB)
        active = page.browser.switch_to.active_element
        reached.append(active.get_attribute("id") or active.get_attribute("class"))
        outline = active.value_of_css_property("outline-style")
        assert outline == "solid", reached
    assert {"order", "epoch", "export", "player"} <= set(reached)
    for selector in (".facts", ".warning", "#summary", "#export", ".name", "label"):
        element = page.all(selector)[0]
        assert contrast(page, element) >= 4.5, selector


def contrast(page, element):
    """The ratio of WCAG 2.1 between a text and what is behind it."""
    script = """
        let behind = arguments[0];
        while (/, 0\\)$/.test(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
        return [getComputedStyle(arguments[0]).color, getComputedStyle(behind).backgroundColor];"""
    light = []
    for colour in page.browser.execute_script(script, element):
        channels = [int(part.strip(" rgba()")) / 255 for part in colour.split(",")[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
        light.append(np.dot(linear, [0.2126, 0.7152, 0.0722]) + 0.05)
    return max(light) / min(light)


def test_a_clip_that_is_gone_is_said(page):
    page.make().open()
    (page.folder / "clips" / "a.wav").unlink()
    page.keys("j", " ")
    page.wait(lambda: "cannot be played: is the clip still there?" in page.summary)
    page.browser.get_log("browser")  # in which the browser says so, too


def test_thousands_of_excerpts_are_shown_as_one_scrolls(page):
    page.make()
    html = page.folder / "gallery" / "index.html"
    text = html.read_text(encoding="utf-8")
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    first = data["cards"][0]
    data["cards"] = [first | {"order": i, "id": str(i), "x": i / 3000, "novelty": i / 3000} for i in range(3000)]
    html.write_text(text.replace(text.split('id="data">')[1].split("</script>")[0], json.dumps(data)), encoding="utf-8")
    page.open()
    assert page.summary == "3000 of 3000 excerpts, 0 with stars" and len(page.all("#list li")) <= 120
    for _ in range(3):
        there = len(page.all("#list li"))
        page.browser.execute_script("document.querySelector('#list li:last-child').scrollIntoView()")
        page.wait(lambda there=there: len(page.all("#list li")) > there)
        page.all("#list li:last-child .stars button")[0].click()  # which does not keep the next ones from coming
    page.keys("j")
    assert len(page.all("#list li.selected")) == 1
