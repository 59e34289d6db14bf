"""Which excerpts sound alike: by properties of sounds that are known to be alike or not."""

import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from samplernn.gallery import likeness
from samplernn.gallery.features import GROUPS, RATE, hear
from samplernn.gallery.likeness import Space


def tone(hertz, seconds=3, seed=0):
    time = np.arange(seconds * RATE) / RATE
    noise = np.random.default_rng(seed).normal(size=len(time)) * 1e-4
    return (0.3 * np.sin(2 * np.pi * hertz * time) + noise).astype(np.float32)


def clicks(a_second, seconds=4):
    """Struck strings, so many a second."""
    audio = np.zeros(seconds * RATE, np.float32)
    time = np.arange(RATE // 4) / RATE
    for start in np.arange(0, seconds - 0.25, 1 / a_second):
        audio[round(start * RATE) :][: len(time)] += np.sin(2 * np.pi * 440 * time) * np.exp(-40 * time) * 0.5
    return audio


def parts(audio):
    return np.split(hear(audio).description, np.cumsum(GROUPS)[:-1])


def test_a_description_says_what_is_heard():
    level, change, chroma, centroid, onsets = parts(tone(440))
    assert chroma.argmax() == 9 and 2 ** centroid[0] == pytest.approx(440, rel=0.3)
    assert change.max() < 10 and onsets[0] < 1
    brighter = parts(tone(3520))
    assert brighter[2].argmax() == 9 and brighter[3][0] > centroid[0] + 2 and brighter[0].argmax() > level.argmax()
    assert parts(tone(440) * 0.1)[0].max() == pytest.approx(level.max() - 20, abs=0.1)
    for a_second in (2, 4):
        assert parts(clicks(a_second))[4][0] == pytest.approx(a_second, rel=0.25)


@pytest.mark.parametrize("length", [1, 100, 2047, 2048, 5000])
def test_however_short_or_silent_audio_is_it_has_a_description(length):
    for audio in (np.zeros(length, np.float32), np.ones(length, np.float32)):
        assert np.isfinite(hear(audio).description).all()


HEAR_AND_DRAW = """
import numpy as np
from samplernn.audio.spectrogram import draw
from samplernn.gallery.features import RATE, hear
audio = np.random.default_rng(0).normal(size=2 * RATE).astype(np.float32)
hear(audio)
draw(audio, RATE, "noise")
"""


@pytest.mark.long
def test_nothing_is_called_that_numba_has_cached(tmp_path):
    """Two processes that import librosa for the first time can leave the code of one signature under another."""

    def hear_and_draw():
        env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
        return subprocess.run([sys.executable, "-c", HEAR_AND_DRAW], env=env, timeout=240).returncode

    assert hear_and_draw() == 0
    of_functions = [sorted(tmp_path.rglob(f"{index.stem}.*.nbc")) for index in tmp_path.rglob("*.nbi")]
    assert max(map(len, of_functions)) > 1
    for paths in of_functions:
        codes = [path.read_bytes() for path in paths]
        for path, code in zip(paths, codes[1:] + codes[:1]):
            path.write_bytes(code)
    assert hear_and_draw() == 0


@pytest.fixture(scope="module")
def three_kinds():
    """Descriptions of 12 low tones, 8 high ones and 5 sequences of clicks, in this order."""
    sounds = [tone(150 + i, seed=i) for i in range(12)] + [tone(4000 + 10 * i, seed=i) for i in range(8)]
    sounds += [clicks(3 + i / 10) for i in range(5)]
    return np.stack([hear(sound).description for sound in sounds])


KINDS = np.repeat([0, 1, 2], [12, 8, 5])


def test_what_sounds_alike_is_near_on_the_map_and_in_one_cluster(three_kinds):
    points = Space(three_kinds).points(three_kinds)
    clusters = likeness.clusters(points)
    for cluster in range(clusters.max() + 1):
        assert len(set(KINDS[clusters == cluster])) == 1
    assert list(np.bincount(clusters)) == sorted(np.bincount(clusters), reverse=True)
    places = likeness.map_of(points)
    assert places.min() == 0 and places.max() == 1
    for of in (points, places):
        distances = np.linalg.norm(of[:, None] - of[None], axis=2) + np.where(np.eye(len(of)), np.inf, 0)
        assert (KINDS[distances.argmin(axis=1)] == KINDS).all()


def test_what_is_like_nothing_else_is_the_most_novel(three_kinds):
    odd = np.concatenate(
        [three_kinds, hear(np.random.default_rng(0).normal(size=RATE).astype(np.float32)).description[None]]
    )
    assert likeness.novelty(Space(odd).points(odd)).argmax() == len(three_kinds)


def test_distances_are_those_of_a_plain_search(three_kinds):
    points = Space(three_kinds).points(three_kinds)
    found = likeness.nearest(points[:5], points[5:])
    distances = np.linalg.norm(points[:5, None] - points[None, 5:], axis=2)
    np.testing.assert_allclose(found.distances[:, 0], distances.min(axis=1))
    np.testing.assert_array_equal(found.indices[:, 0], distances.argmin(axis=1))
    plain = np.sort(np.linalg.norm(points[:, None] - points[None], axis=2))[:, 1:6].mean(axis=1)
    np.testing.assert_allclose(likeness.novelty(points), plain, atol=1e-6)


@pytest.mark.parametrize("number", [1, 2, 3, 9])
def test_few_or_equal_excerpts_are_no_trouble(three_kinds, number):
    for descriptions in (three_kinds[:number], np.repeat(three_kinds[:1], number, axis=0)):
        points = Space(descriptions).points(descriptions)
        assert np.isfinite(points).all() and np.isfinite(likeness.novelty(points)).all()
        assert likeness.map_of(points).shape == (number, 2) and np.isfinite(likeness.map_of(points)).all()
        assert len(likeness.clusters(points)) == number
