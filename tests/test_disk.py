"""A disk that is full, a folder that is read-only, a folder that is removed: on real file systems."""

import ctypes
import os
import shutil
import subprocess
import sys
import time

import pytest
from conftest import ROOT, needs_small_disks
from torture import read
from trainings import epochs_saved

pytestmark = pytest.mark.long

DROP_CAPABILITY, MAY_IGNORE_PERMISSIONS = 24, 1  # prctl's PR_CAPBSET_DROP, CAP_DAC_OVERRIDE


def command(corpus, config_file, **flags):
    flags = {
        "data_dir": corpus, "config_file": config_file, "id": "test", "batch_size": 2, "num_epochs": 10**6,
        "early_stopping_patience": None, "generate": False, "jit_compile": False, **flags,
    }  # fmt: skip
    return [sys.executable, str(ROOT / "train.py"), *(str(x) for name in flags for x in (f"--{name}", flags[name]))]


def failed_with_one_line(status, error, said):
    assert status == 1, error
    assert error.startswith("Error: ") and error.count("\n") == 1 and "Traceback" not in error
    assert said in error


@needs_small_disks
@pytest.mark.parametrize("generate", [False, True])
def test_a_full_disk_ends_training_and_leaves_what_was_written(tmp_path, make_corpus, tiny_config_file, generate):
    disk, copy = tmp_path / "disk", tmp_path / "copy"
    disk.mkdir()
    corpus = make_corpus([640] * 4)
    flags = {"max_checkpoints": None, "generate": generate, "output_file_dur": 0.5}
    train = command(corpus, tiny_config_file, logdir_root="disk/logdir", output_dir="disk/generated", **flags)
    # The disk exists for this one process: what is on it in the end is copied.
    script = 'mount -t tmpfs -o size=1m tmpfs disk || exit 9; "$@"; status=$?; cp -r disk copy; exit $status'
    result = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script, "sh", *train], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    failed_with_one_line(result.returncode, result.stderr, "No space left on device")
    (run,) = (copy / "logdir" / "test").iterdir()
    epochs = epochs_saved(run)
    assert epochs == list(range(1, len(epochs) + 1)) and len(epochs) >= 2
    for epoch in epochs:
        read(run / f"model.ckpt-{epoch}")
    assert not list(run.glob(".*"))
    assert f"To go on after epoch {epochs[-1]}, train again with --resume_from disk" in result.stderr
    resumed = command(corpus, tiny_config_file, logdir_root=copy / "logdir", num_epochs=epochs[-1] + 1)
    result = subprocess.run(resumed, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    assert f"It goes on with epoch {epochs[-1] + 1} of" in result.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="how to be bound by permissions though root differs")
@pytest.mark.parametrize("what", ["read-only", "removed"])
def test_a_folder_that_can_no_longer_be_written_ends_training(tmp_path, make_corpus, tiny_config_file, what):
    train = command(make_corpus([640] * 4), tiny_config_file)
    libc = ctypes.CDLL(None)
    with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
        process = subprocess.Popen(
            train,
            cwd=tmp_path,
            stdout=out,
            stderr=err,
            preexec_fn=lambda: libc.prctl(DROP_CAPABILITY, MAY_IGNORE_PERMISSIONS),  # of root
        )
    try:
        deadline = time.monotonic() + 120
        while not (indices := list(tmp_path.glob("logdir/test/*/model.ckpt-2.index"))):
            assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "err").read_text()
            time.sleep(0.05)
        run = indices[0].parent
        if what == "removed":
            while run.exists():
                shutil.rmtree(run, ignore_errors=True)  # it may just get another file
        else:
            run.chmod(0o555)
        status = process.wait(timeout=120)
    finally:
        process.kill()
    error = (tmp_path / "err").read_text()
    reason = {"removed": "No such file or directory", "read-only": "Permission denied"}[what]
    failed_with_one_line(status, error, reason)
    if what == "removed":
        assert "There is no checkpoint yet" in error
    else:
        run.chmod(0o755)
        epochs = epochs_saved(run)
        assert f"To go on after epoch {epochs[-1]}, train again" in error
        for epoch in epochs:
            read(run / f"model.ckpt-{epoch}")
    assert os.listdir(run.parent) == ([] if what == "removed" else [run.name])
