"""benchmarks/learning.py goes on from what it has done as if it had never stopped."""

import importlib
import json

import pytest
from conftest import ROOT, TINY


@pytest.fixture
def learn(tmp_path, monkeypatch, make_corpus, run_script):
    """A function that trains a tiny network in batches of 2, for stages that end after so many steps.

    It returns the status, the table's rows, and what was said on stderr.
    """
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    learning = importlib.import_module("learning")
    chunks = make_corpus([640] * 6)
    (tmp_path / "two-tier-fast.config.json").write_text(json.dumps(TINY))
    monkeypatch.setattr(learning, "CONFIGS", tmp_path)
    monkeypatch.setattr(learning, "CLIP_SECONDS", 0.05)
    monkeypatch.setattr(learning, "in_own_process", lambda function, *given: function(*given))

    def learn(output_dir, *steps, **flags):
        output_dir.mkdir(exist_ok=True)
        (output_dir / learning.SECONDS_A_STEP).write_text(json.dumps({"two-tier-fast, batch 2": 60}))
        given = {"data_dir": chunks, "output_dir": output_dir, "only": "two-tier-fast", "batch_size": 2} | flags
        texts = [text for name, value in given.items() for text in (f"--{name}", value)]
        status, out, err = run_script(learning.main, *texts, "--minutes", *steps)
        return status, [line for line in out.splitlines() if line.startswith("| ")], err

    return learn


@pytest.mark.long
def test_a_later_stage_is_as_if_all_were_asked_for_at_once(learn, tmp_path):
    status, at_once, _ = learn(tmp_path / "a", 2, 4)
    assert status == 0 and [row.split(" | ")[:3] for row in at_once[1:]] == [
        ["| `two-tier-fast`", minutes, minutes] for minutes in "24"
    ]
    learn(tmp_path / "b", 2)
    for clip in (tmp_path / "b").rglob("clip*.wav"):
        clip.unlink()  # as if it had been killed before
    _, in_two, _ = learn(tmp_path / "b", 4)
    assert in_two == at_once
    assert {file.parent.name for file in (tmp_path / "b").rglob("clip*.wav")} == {"2", "4"}

    status, _, err = learn(tmp_path / "b", 6, learning_rate=0.1)
    assert status == 2 and "was trained with 0.003; give that, or another --output_dir" in err
