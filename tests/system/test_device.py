"""Where XLA compiles: as told, or where it is faster, and never what it cannot. What is said when memory runs out.
What becomes of memory that is freed."""

import platform
import subprocess
import sys

import pytest
import tensorflow as tf
from conftest import ROOT

from samplernn.system import device
from samplernn.system.errors import InputError, RunError
from samplernn.training.train import MEMORY_REMEDY


@pytest.mark.parametrize(
    ("gpu", "works", "jit_compile", "training", "generating"),
    [
        (False, True, None, True, True),
        (False, True, True, True, True),
        (False, True, False, False, False),
        (False, False, None, False, False),
        (True, True, None, False, True),  # training calls cuDNN
        (True, True, False, False, False),
    ],
)
def test_xla_is_used_where_it_is_faster(monkeypatch, gpu, works, jit_compile, training, generating):
    monkeypatch.setattr(device, "has_gpu", lambda: gpu)
    monkeypatch.setattr(device, "_xla_works", lambda: works)
    assert device.use_xla(jit_compile, cudnn=True) == training
    assert device.use_xla(jit_compile) == generating


@pytest.mark.parametrize(("gpu", "works", "said"), [(True, True, "cuDNN"), (False, False, "cannot compile with XLA")])
def test_what_xla_cannot_do_is_refused(monkeypatch, gpu, works, said):
    monkeypatch.setattr(device, "has_gpu", lambda: gpu)
    monkeypatch.setattr(device, "_xla_works", lambda: works)
    with pytest.raises(InputError, match=f"--jit_compile True: .*{said}.*auto"):
        device.use_xla(True, cudnn=True)


@pytest.mark.xla
def test_this_tensorflow_compiles_with_xla():
    assert device.use_xla(True)


def test_a_full_disk_is_not_taken_for_memory():
    with pytest.raises(RunError, match="^The disk is full: x; No space left on device"), device.refusals_explained(""):
        raise tf.errors.ResourceExhaustedError(None, None, "x; No space left on device")


@pytest.mark.long
def test_memory_that_runs_out_is_one_line_with_remedies():
    with (
        pytest.raises(RunError, match="^Out of memory: lower --batch_size, or seq_len .* --precision mixed_bfloat16"),
        device.refusals_explained(MEMORY_REMEDY),
    ):
        tf.ones([2**45])  # 128 TB


TOUCH_TWICE = """
import resource
from samplernn.system import device

{call}
faults = []
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    memory = b"x" * 2**26
    del memory
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(*faults)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
@pytest.mark.parametrize(("call", "kept"), [("device.keep_freed_memory()", True), ("", False)])
def test_memory_that_was_freed_is_not_asked_for_again(call, kept):
    script = TOUCH_TWICE.format(call=call)
    said = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    first, second = map(int, said.split())
    assert (second < first / 10) == kept


IMPORT_TENSORFLOW = """
import sys
import scipy
from samplernn.system.device import OPTIONAL_TO_KERAS, import_tensorflow

import_tensorflow()
print(*sorted(sys.modules.keys() & OPTIONAL_TO_KERAS), sys.modules["scipy"] is scipy)
import matplotlib.figure, sklearn.cluster
"""


def test_tensorflow_brings_no_library_along_that_is_not_needed_and_leaves_all_as_they_are():
    command = [sys.executable, "-c", IMPORT_TENSORFLOW]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "scipy True\n"
