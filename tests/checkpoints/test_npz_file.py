"""Checkpoints that are an npz: arrays of numbers are read in whichever form, and nothing claimed is believed."""

import io
import tracemalloc
import zipfile

import numpy as np
import pytest
from conftest import GOLDEN
from damage import npy, npz

from samplernn.checkpoints import npz_file
from samplernn.system import npz as arrays_of

PARAMETERS = GOLDEN / "pianoroll" / "parameters.npz"


@pytest.mark.parametrize("form", [lambda array: array, np.asfortranarray, lambda array: array.astype(">f8")])
def test_numbers_are_read_whatever_their_order_and_the_archives_compression(tmp_path, form):
    with np.load(PARAMETERS) as file:
        good = {name: form(file[name]) for name in ("by", "Why_1", "loss")}
    np.savez_compressed(tmp_path / "x.npz", **good)
    found = npz_file.read(tmp_path / "x.npz")
    assert found.keys() == good.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, good[name])


executed = []


def execute(what):
    executed.append(what)


class Hostile:
    """An object whose pickle executes something."""

    def __reduce__(self):
        return execute, ("this",)


def test_objects_are_refused_and_not_unpickled(tmp_path):
    content = npy(np.array([Hostile()], object))
    np.load(io.BytesIO(content), allow_pickle=True)
    assert executed.pop() == "this"
    (tmp_path / "x.npz").write_bytes(npz({"by": content}, zipfile.ZIP_STORED))
    with pytest.raises(ValueError, match="^its arrays are damaged$"):
        npz_file.read(tmp_path / "x.npz")
    assert not executed


def test_a_small_file_with_many_zeros_is_not_unpacked(tmp_path):
    path, many = tmp_path / "x.npz", 2**24
    path.write_bytes(npz({"by": npy(np.zeros(many, np.int8))}, zipfile.ZIP_DEFLATED))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="it claims more bytes than any network has, or than are in such a file"):
            npz_file.read(path)
        assert tracemalloc.get_traced_memory()[1] < many / 4
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("behind", [1, 2**24])
def test_of_what_is_behind_an_array_no_more_is_read_than_shows_that_it_is_there(behind):
    archive = npz({"codes": npy(np.arange(3)) + bytes(behind)}, zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as file, pytest.raises(ValueError):
            arrays_of.read_array(file, "codes")
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()
