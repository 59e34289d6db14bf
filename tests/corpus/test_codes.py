"""Files of codes: what is written is read, nothing in one is executed, and what is no such file is told."""

import io
import os
import pickle
import tracemalloc
import zipfile
from pathlib import Path
from struct import pack

import numpy as np
import pytest

from samplernn.corpus import codes
from samplernn.corpus.codes import CodeSequence, read_codes, write_codes
from samplernn.system.errors import InputError

SEQUENCE = CodeSequence(np.array([3, 0, 255], np.int32), 16000, 8, 256, "ab" * 32)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.npz"
    write_codes(path, SEQUENCE)
    return path


def test_what_is_written_is_read_by_us_and_by_numpy(path):
    ours = read_codes(path)
    np.testing.assert_array_equal(ours.codes, SEQUENCE.codes)
    assert (ours.rate, ours.hop, ours.levels, ours.encoder) == (16000, 8, 256, "ab" * 32)
    with np.load(path) as theirs:
        np.testing.assert_array_equal(theirs["codes"], SEQUENCE.codes)
    assert [file.name for file in path.parent.iterdir()] == ["a.npz"]


def test_codes_may_be_edited_and_saved_by_numpy(path):
    with np.load(path) as file:
        content = dict(file)
    np.savez(path, **content | {"codes": np.tile(content["codes"], 2).astype(np.uint8)})
    np.testing.assert_array_equal(read_codes(path).codes, [3, 0, 255, 3, 0, 255])


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"codes": np.array([3, 256])}, "its code 1 is 256; they go from 0 to 255"),
        ({"codes": np.array([-1])}, "its code 0 is -1"),
        ({"codes": np.array([[1]])}, "its codes have 2 dimensions"),
        ({"codes": np.array([0.5])}, "its codes are of type float64; they are to be whole numbers"),
        ({"codes": np.array([], int)}, "it has 0 codes; there are to be from 1"),
        ({"hop": 0}, "its hop is not a number that one can be"),
        ({"hop": 2.5}, "its hop is not"),
        ({"rate": -1}, "its rate is not"),
        ({"levels": [1, 2]}, "its levels is not"),
        ({"encoder": 7}, "its encoder is not the hash of a checkpoint"),
        ({"codes": np.array(["a", None], object)}, "not an npz of codes"),
    ],
)
def test_what_cannot_be_is_told(path, changes, said):
    np.savez(path, **vars(SEQUENCE) | changes)
    with pytest.raises(InputError, match=said):
        read_codes(path)


def test_a_pickle_is_not_executed(path, tmp_path):
    class Harmful:
        def __reduce__(self):
            return Path(tmp_path / "harmed").touch, ()

    np.savez(path, **vars(SEQUENCE) | {"codes": np.array([Harmful()], object)})
    for content in (path.read_bytes(), pickle.dumps(Harmful())):
        path.write_bytes(content)
        with pytest.raises(InputError, match="not an npz of codes"):
            read_codes(path)
    assert not (tmp_path / "harmed").exists()


def test_what_would_unpack_to_absurd_sizes_is_refused(path, monkeypatch):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i4", "fortran_order": False, "shape": (10**9,)})
    with zipfile.ZipFile(path, "w") as archive:
        for name in vars(SEQUENCE):
            archive.writestr(f"{name}.npy", header.getvalue() + bytes(12))
    tracemalloc.start()  # which NumPy tells of its memory
    try:
        with pytest.raises(InputError, match="not an npz of codes"):
            read_codes(path)
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()
    monkeypatch.setattr(codes, "MAX_BYTES", 1000)
    np.savez_compressed(path, **vars(SEQUENCE) | {"codes": np.zeros(1000, np.int32)})
    with pytest.raises(InputError, match="its codes would take 4128 bytes, too many for codes"):
        read_codes(path)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<i4', 'fortran_order': False, 'shape': (3,",  # for which Python has errors of many kinds
        "{'descr': '<i4', 'fortran_order': False, 'shape': (2**70,)}",
        f"{{'descr': '<i4', 'fortran_order': False, 'shape': ({2**70},)}}",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (True,)}",
        "  {'descr': '<i4',\n 1",
        "{'descr': [('a', '<i4', (2**40,))], 'fortran_order': False, 'shape': (3,)}",
    ],
)
def test_a_hostile_header_is_told(path, header):
    with zipfile.ZipFile(path, "w") as archive:
        for name in vars(SEQUENCE):
            archive.writestr(
                f"{name}.npy", np.lib.format.magic(1, 0) + pack("<H", len(header)) + header.encode() + bytes(12)
            )
    with pytest.raises(InputError, match="not an npz of codes"):
        read_codes(path)


@pytest.mark.skipif(os.name == "nt", reason="pipes are POSIX's")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(InputError, match="cannot be read .not a file, but a folder, a pipe"):
        read_codes(tmp_path / "pipe.npz")


@pytest.mark.parametrize("damage", ["nothing", "half", "text", "a missing array", "no file", "a folder"])
def test_what_is_no_such_file_is_told(path, damage):
    if damage == "half":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif damage == "a missing array":
        np.savez(path, codes=SEQUENCE.codes)
    elif damage in ("no file", "a folder"):
        path.unlink()
        if damage == "a folder":
            path.mkdir()
    else:
        path.write_bytes(b"" if damage == "nothing" else b"a text")
    said = {"no file": "no such file", "a folder": "cannot be read", "a missing array": "it has no rate"}
    with pytest.raises(InputError, match=said.get(damage, "not an npz of codes")):
        read_codes(path)
