"""What torch.save wrote: each tensor is what PyTorch has, nothing that is said in a file is done or believed."""

import copyreg
import io
import os
import pickle
import random
import struct
import sys
import tracemalloc
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from conftest import GOLDEN, load_golden

from samplernn.checkpoints import torch_file, torch_pickle

SETS = ["deepsound-2tier", "deepsound-3tier", "deepsound-4tier"]
FILES = ["ep1-it1", "legacy-ep1-it1"]
MAGIC = 0x1950A86A20F9469CFC6C


# --- A pickle by hand ---


class Name(str):
    """A global: module and name, a space between."""


class Persistent(tuple):
    """A persistent id."""


class Code(bytes):
    """Operations, as they are."""


class Call:
    def __init__(self, function, *arguments, state=None):
        self.function, self.arguments, self.state = Name(function), arguments, state


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def operations(value):
    """Those that leave a value on the stack."""
    if isinstance(value, Code):
        return value
    if isinstance(value, Name):
        return b"c" + value.replace(" ", "\n").encode() + b"\n"
    if isinstance(value, Persistent):
        return operations(tuple(value)) + b"Q"
    if isinstance(value, Call):
        made = operations(value.function) + operations(value.arguments) + b"R"
        return made if value.state is None else made + operations(value.state) + b"b"
    if isinstance(value, dict):
        return b"}(" + b"".join(operations(part) for item in value.items() for part in item) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(operations, value)) + b"e"
    if isinstance(value, tuple):
        return b"(" + b"".join(map(operations, value)) + b"t"
    if isinstance(value, str):
        return text(value)
    return pickle.dumps(value, 2)[2:-1]  # a number, a boolean or None


def pickled(value):
    return b"\x80\x02" + operations(value) + b"."


HOOKS = Call("collections OrderedDict")


def storage(numel, kind="torch FloatStorage", key="0", *part):
    return Persistent(("storage", Name(kind), key, "cpu", numel, *part))


def tensor(of, shape, strides, offset=0):
    return Call("torch._utils _rebuild_tensor_v2", of, offset, shape, strides, False, HOOKS)


def archive(state, numbers, /, folder="ep1-it1", compression=zipfile.ZIP_STORED, **more):
    """A file of the format since 1.6: of a state dict or its pickle, and the bytes of its storages."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as entries:
        entries.writestr(f"{folder}/data.pkl", state if type(state) is bytes else pickled(state))
        for name, data in {**more, **{f"data/{key}": data for key, data in numbers.items()}}.items():
            entries.writestr(f"{folder}/{name}", data)
    return file.getvalue()


def stream(state, numbers, /, itemsize=4, **pickles):
    """A file of the format before: likewise."""
    parts = {
        "magic_number": pickled(MAGIC),
        "version": pickled(1001),
        "machine": pickled({"protocol_version": 1001, "little_endian": True, "type_sizes": {"long": 4}}),
        "state": state if type(state) is bytes else pickled(state),
        "keys": pickled(list(numbers)),
        **pickles,
    }
    data = [struct.pack("<q", len(data) // itemsize) + data for data in numbers.values()]
    return b"".join([*parts.values(), *data])


BOTH = pytest.mark.parametrize("form", [archive, stream])
SIX = np.arange(6, dtype=np.float32)
PLAIN = {"a": tensor(storage(6), (2, 3), (3, 1))}


@pytest.fixture
def read(tmp_path):
    """A function that reads a file of these bytes, and takes no memory that is not in them."""
    path = tmp_path / "ep1-it1"

    def read(data):
        path.write_bytes(data)
        tracemalloc.start()
        try:
            return torch_file.read(path)
        finally:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < 2**23 + 4 * len(data)

    return read


# --- What PyTorch wrote ---


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("name", SETS)
def test_each_tensor_is_the_originals(name, file):
    expected = {key[8:]: value for key, value in load_golden(name).items() if key.startswith("weights/")}
    found = torch_file.read(GOLDEN / name / file)
    assert found.keys() == expected.keys() and len(found) > 20
    for key, value in expected.items():
        assert found[key].dtype == value.dtype
        np.testing.assert_array_equal(found[key], value, err_msg=key)


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("name", SETS)
def test_a_file_is_recognized_by_its_beginning(tmp_path, name, file):
    assert torch_file.recognizes(GOLDEN / name / file)
    cut = tmp_path / "cut"
    for length, recognized in ((15, True), (3, False), (0, False)):
        cut.write_bytes((GOLDEN / name / file).read_bytes()[:length])
        assert torch_file.recognizes(cut) == recognized


def test_what_does_not_begin_so_is_refused(tmp_path):
    pipe = tmp_path / "pipe"  # from which reading would never end
    if hasattr(os, "mkfifo"):
        os.mkfifo(pipe)
    else:
        pipe.touch()
    for other in (GOLDEN / "gru" / "model.ckpt-1.index", tmp_path, pipe):
        assert not torch_file.recognizes(other)
        with pytest.raises(ValueError, match="does not begin as a file of PyTorch's"):
            torch_file.read(other)
    with pytest.raises(FileNotFoundError):
        torch_file.read(tmp_path / "nowhere")


# --- What a state dict may hold ---


@BOTH
@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [((2, 3), (3, 1), 0), ((3, 2), (1, 3), 0), ((3,), (2,), 1), ((2, 2), (3, 1), 1), ((), (), 5), ((1, 2), (99, 1), 4),
     ((2, 3), (0, 1), 3), ((6, 1), (1, 2**70), 0)],
)  # fmt: skip
def test_offsets_and_strides_are_heeded(read, form, shape, strides, offset):
    found = read(form({"a": tensor(storage(6), shape, strides, offset)}, {"0": SIX.tobytes()}))["a"]
    assert found.shape == shape and not found.flags.writeable
    for index in np.ndindex(shape):
        assert found[index] == SIX[offset + sum(at * stride for at, stride in zip(index, strides))]


@BOTH
def test_tensors_without_elements_are_read(read, form):
    state = {"a": tensor(storage(0), (0,), (1,)), "b": tensor(storage(0), (2**40, 0), (1, 1), 7)}
    assert {name: value.shape for name, value in read(form(state, {"0": b""})).items()} == {"a": (0,), "b": (2**40, 0)}


@BOTH
def test_tensors_share_storages(read, form):
    state = {"a": tensor(storage(6), (6,), (1,)), "b": tensor(storage(6), (2,), (1,), 4), "c": None}
    state["c"] = state["a"]
    found = read(form(state, {"0": SIX.tobytes()}))
    assert [value.tolist() for value in found.values()] == [SIX.tolist(), [4, 5], SIX.tolist()]


@BOTH
@pytest.mark.parametrize("of", ["torch", "torch.cuda"])
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("Float", "f4"), ("Double", "f8"), ("Half", "f2"), ("Long", "i8"),
     ("Int", "i4"), ("Short", "i2"), ("Char", "i1"), ("Byte", "u1")],
)  # fmt: skip
def test_kinds_of_numbers(read, form, of, kind, dtype):
    values = np.array([0, 1, 2.5, 3, 100, 127]).astype(dtype)
    more = {"itemsize": values.itemsize} if form is stream else {}
    state = {"a": tensor(storage(6, f"{of} {kind}Storage"), (6,), (1,))}
    found = read(form(state, {"0": values.tobytes()}, **more))["a"]
    assert found.dtype == values.dtype and found.tolist() == values.tolist()


def test_booleans_are_booleans_whatever_their_bytes(read):
    found = read(archive({"a": tensor(storage(3, "torch BoolStorage"), (3,), (1,))}, {"0": b"\0\1\xff"}))["a"]
    assert found.dtype == bool and found.view(np.uint8).tolist() == [0, 1, 1]


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">f2", ">i8"])
def test_an_archive_may_be_big_endian(read, dtype):
    kind = {">f4": "Float", ">f8": "Double", ">f2": "Half", ">i8": "Long"}[dtype]
    state = {"a": tensor(storage(6, f"torch {kind}Storage"), (2,), (2,), 1)}
    found = read(archive(state, {"0": np.arange(6).astype(dtype).tobytes()}, byteorder="big"))["a"]
    assert found.dtype == np.dtype(dtype).newbyteorder("=") and found.tolist() == [1, 3]
    with pytest.raises(ValueError, match="unknown byte order"):
        read(archive(state, {"0": bytes(48)}, byteorder="middle"))


def test_a_stream_is_little_endian_whatever_it_says(read):
    machine = pickled({"protocol_version": 1001, "little_endian": False})
    assert read(stream(PLAIN, {"0": SIX.tobytes()}, machine=machine))["a"].tolist() == SIX.reshape(2, 3).tolist()


@pytest.mark.parametrize("folder", ["archive", "a b", "ü/deeper"])
def test_an_archives_folder_may_have_any_name(read, folder):
    assert list(read(archive(PLAIN, {"0": SIX.tobytes()}, folder=folder))) == ["a"]


@BOTH
def test_what_else_belongs_to_a_state_dict(read, form):
    plain = storage(6), 0, (6,), (1,)
    metadata = {"_metadata": Call("collections OrderedDict", state={"": {"version": 1}})}
    empty = operations(Call("collections OrderedDict"))
    items = {
        "of 2017": Call("torch._utils _rebuild_tensor", *plain),
        "parameter": Call("torch._utils _rebuild_parameter", tensor(storage(6), (6,), (1,)), True, HOOKS),
        "variable": Call(
            "torch.autograd.variable Variable", tensor(storage(6), (6,), (1,)), state=(False, False, HOOKS)
        ),
    }
    state = Code(empty + operations(items)[1:] + operations(metadata) + b"b")
    found = read(form(state, {"0": SIX.tobytes()}))
    assert {name: value.tolist() for name, value in found.items()} == dict.fromkeys(items, SIX.tolist())


def test_a_storage_may_be_a_part_of_another(read):
    state = {
        "all": tensor(storage(6, "torch FloatStorage", "0", None), (6,), (1,)),
        "part": tensor(storage(6, "torch FloatStorage", "0", ("1", 2, 3)), (2,), (1,), 1),
    }
    assert read(stream(state, {"0": SIX.tobytes()}))["part"].tolist() == [3, 4]
    for part in [("1", 4, 3), ("1", -1, 2), ("1", 2, -1), ("1", 2), "1", ("1", 0, 2.0), ("1", True, 2), ["1", 0, 2]]:
        with pytest.raises(ValueError, match="a storage that cannot be"):
            read(stream({"a": tensor(storage(6, "torch FloatStorage", "0", part), (1,), (1,))}, {"0": SIX.tobytes()}))
    with pytest.raises(ValueError, match="reaches beyond its storage"):
        part = storage(6, "torch FloatStorage", "0", ("1", 2, 3))
        read(stream({"a": tensor(part, (2,), (1,), 2)}, {"0": SIX.tobytes()}))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pythons_pickler_writes_what_is_read(read, monkeypatch, protocol):
    """With classes and functions of PyTorch's names, since Python looks whether they are there."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    torch.FloatStorage = type("FloatStorage", (), {"__module__": "torch"})
    utils._rebuild_tensor_v2 = types.FunctionType((lambda: None).__code__, {}, "_rebuild_tensor_v2")
    utils._rebuild_tensor_v2.__module__ = "torch._utils"
    utils._rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)

    class Saved:
        def __init__(self, key):
            self.key = key

        def __reduce__(self):
            return utils._rebuild_tensor_v2, (torch.FloatStorage(), 0, (2, 3), (3, 1), False, OrderedDict())

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return ("storage", torch.FloatStorage, "0", "cpu", 6) if isinstance(value, torch.FloatStorage) else None

    state = OrderedDict((f"layer.{i}", Saved("0")) for i in range(2500))  # SETITEMS are of a thousand each
    state._metadata = OrderedDict([("", {"version": 1})])
    file = io.BytesIO()
    Pickler(file, protocol).dump(state)
    found = read(archive(file.getvalue(), {"0": SIX.tobytes()}))
    assert list(found) == list(state)
    np.testing.assert_array_equal(found["layer.2499"], SIX.reshape(2, 3))


def test_texts_and_numbers_of_python_2_are_read(read):
    short, long = b"U\x01a", b"T\x01\0\0\0b"
    six, zero = b"I6\n", b"L0L\n"
    identity = Code(b"(U\x07storage" + operations(Name("torch FloatStorage")) + b"U\x010U\x03cpu" + six + b"NtQ")
    rebuilt = operations(Call("torch._utils _rebuild_tensor", identity, 0, (6,), (1,)))
    state = Code(b"}(" + short + rebuilt + long + rebuilt + b"u")
    assert list(read(stream(state, {"0": SIX.tobytes()}, keys=b"\x80\x02](U\x010e."))) == ["a", "b"]
    with pytest.raises(ValueError, match="holds LONG, which"):
        read(stream(Code(zero), {}))


# --- What would be done by another ---


class Trap:
    """Is set off as it is made, or as its state is set."""

    def __new__(cls, path=None):
        if path is not None:
            Path(path).touch()
        return super().__new__(cls)

    def __setstate__(self, path):
        Path(path).touch()


def bystander():
    pass


def payloads(path):
    """Pickles that make a file when Python reads them, by name."""
    touch, code = f"touch {path}", f"open({str(path)!r}, 'w').close()"
    system, trap = operations(Name("os system")), operations(Name(f"{__name__} Trap"))
    arguments = operations((touch,))
    return {
        "GLOBAL, REDUCE": system + arguments + b"R",
        "eval": operations(Call("builtins eval", code)),
        "exec": operations(Call("builtins exec", code)),
        "text": b"cos\nsystem\n(V" + touch.encode() + b"\ntR",
        "memo": system + b"q\x050h\x05" + arguments + b"R",
        "STACK_GLOBAL": text("os") + text("system") + b"\x93" + arguments + b"R",
        "INST": b"(" + text(touch) + b"ios\nsystem\n",
        "OBJ": b"(" + trap + text(str(path)) + b"o",
        "NEWOBJ": trap + operations((str(path),)) + b"\x81",
        "NEWOBJ_EX": trap + b")" + operations({"path": str(path)}) + b"\x92",
        "BUILD": trap + b")\x81" + text(str(path)) + b"b",
        "EXT1": b"\x82\xf0" + arguments + b"R",
        "EXT2": b"\x83\xf0\x00" + arguments + b"R",
        "EXT4": b"\x84\xf0\x00\x00\x00" + arguments + b"R",
        "pickle of a pickle": operations(Name("_pickle loads")) + b"(B"
        + struct.pack("<I", len(inner := b"\x80\x02" + system + arguments + b"R.")) + inner + b"tR",
    }  # fmt: skip


@pytest.fixture
def extension():
    copyreg.add_extension("os", "system", 240)
    yield
    copyreg.remove_extension("os", "system", 240)


@pytest.mark.parametrize("name", payloads("x"))
def test_nothing_is_executed(read, tmp_path, extension, name):
    trace = tmp_path / "trace"
    payload = payloads(trace)[name]
    pickle.loads(b"\x80\x04" + payload + b".")
    assert trace.exists()  # so it is one that Python would execute
    trace.unlink()
    hidden = Code(payload)
    hooked = Call("torch._utils _rebuild_tensor_v2", storage(6), 0, (6,), (1,), False, hidden)
    states = [hidden, {"a": hidden}, {"a": hooked}, {"a": Call("torch._utils _rebuild_parameter", hidden, True, HOOKS)}]
    states += [Call("collections OrderedDict", state=hidden), {"a": Persistent(("storage", hidden, "0", "cpu", 6))}]
    files = [form(state, {"0": SIX.tobytes()}) for form in (archive, stream) for state in states]
    pickles = ("magic_number", "version", "machine", "state", "keys")
    files += [stream(PLAIN, {"0": SIX.tobytes()}, **{other: pickled(hidden)}) for other in pickles]
    for data in files:
        with pytest.raises(ValueError, match="which no checkpoint needs|does not begin"):
            read(data)
    assert not trace.exists()


def test_no_attribute_is_set(read):
    state = b"N" + operations({"trap": 1}) + b"\x86b"
    pickle.loads(pickled(Code(operations(Name(f"{__name__} bystander")) + state)))
    assert bystander.trap == 1
    del bystander.trap
    for target in (f"{__name__} bystander", "torch FloatStorage", "collections OrderedDict"):
        with pytest.raises(ValueError, match="which no checkpoint needs"):
            read(archive(Code(operations(Name(target)) + state), {}))
    assert not hasattr(bystander, "trap") and not hasattr(OrderedDict, "trap")


def test_what_is_asked_for_is_named_so_that_it_can_be_shown(read):
    with pytest.raises(ValueError, match="^its pickle asks for os.system, which no checkpoint needs$"):
        read(archive(Call("os system", "true"), {}))
    with pytest.raises(ValueError, match="^its pickle holds NEWOBJ, which no checkpoint needs$"):
        read(archive(Code(operations(Name("collections OrderedDict")) + b")\x81"), {}))
    for module in ("\x1b[31m", "o" * 10000, "\udcff"):
        with pytest.raises(ValueError, match="its pickle asks for") as caught:
            text_of = struct.pack("<I", len(module.encode(errors="surrogatepass")))
            name = b"X" + text_of + module.encode(errors="surrogatepass") + text("system") + b"\x93"
            read(archive(Code(name), {}))
        assert str(caught.value).isprintable() and len(str(caught.value)) < 130


@pytest.mark.parametrize(
    "call",
    [
        Call("collections OrderedDict", [["a", 1]]),
        Call("torch FloatStorage", 6),
        Call("torch._utils _rebuild_tensor", storage(6), 0, (6,)),
        Call("torch._utils _rebuild_tensor_v2", storage(6), 0, (6,), (1,), False, HOOKS, {"conj": True}),
        Code(text("os") + b")R"),
        Code(b"})R"),
        Code(operations(Name("collections OrderedDict")) + b"]R"),
        Code(operations(PLAIN["a"]) + b")R"),
    ],
)
def test_what_is_called_in_another_way_is_refused(read, call):
    with pytest.raises(ValueError, match="its pickle has a call, which no checkpoint needs"):
        read(archive({"a": call}, {"0": SIX.tobytes()}))


# --- What cannot be ---


@BOTH
@pytest.mark.parametrize(
    "state",
    [[], 1, None, "a", (), PLAIN["a"], storage(6), {"a": 1}, {"a": {}}, {"a": PLAIN}, {"a": storage(6)}, {"a": None},
     {1: PLAIN["a"]}, {(): PLAIN["a"]}, {None: PLAIN["a"]}, {"\x1b[31m": PLAIN["a"]}, {"a" * 2000: PLAIN["a"]},
     {PLAIN["a"]: PLAIN["a"]}, {"a": Call("torch._utils _rebuild_parameter", storage(6), True, HOOKS)}],
)  # fmt: skip
def test_what_is_no_state_dict_is_refused(read, form, state):
    with pytest.raises(ValueError, match="its |it "):
        read(form(state, {"0": SIX.tobytes()}))


@BOTH
@pytest.mark.parametrize(
    "identity",
    [
        "storage",
        (),
        ("module", Name("torch FloatStorage"), "0", "cpu", 6),
        ("storage", Name("torch FloatStorage"), "0", "cpu"),
        ("storage", Name("torch FloatStorage"), "0", "cpu", 6, None, None),
        ["storage", Name("torch FloatStorage"), "0", "cpu", 6],
        ("storage", "torch FloatStorage", "0", "cpu", 6),
        ("storage", Name("collections OrderedDict"), "0", "cpu", 6),
        ("storage", Name("torch FloatStorage"), 0, "cpu", 6),
        ("storage", Name("torch FloatStorage"), "../data.pkl", "cpu", 6),
        ("storage", Name("torch FloatStorage"), "/etc/passwd", "cpu", 6),
        ("storage", Name("torch FloatStorage"), "", "cpu", 6),
        ("storage", Name("torch FloatStorage"), "²", "cpu", 6),
        ("storage", Name("torch FloatStorage"), "0", "cpu", -6),
        ("storage", Name("torch FloatStorage"), "0", "cpu", 6.0),
        ("storage", Name("torch FloatStorage"), "0", "cpu", True),
    ],
)
def test_what_names_no_storage_is_refused(read, form, identity):
    of = Code(operations(identity) + b"Q")
    with pytest.raises(ValueError, match="a storage that cannot be"):
        read(form({"a": tensor(of, (1,), (1,))}, {"0": SIX.tobytes()}))


@BOTH
def test_storages_of_one_key_are_one(read, form):
    for other in (storage(5), storage(6, "torch IntStorage")):
        with pytest.raises(ValueError, match="a storage that cannot be"):
            read(form({**PLAIN, "b": tensor(other, (1,), (1,))}, {"0": SIX.tobytes()}))


@BOTH
@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [((7,), (1,), 0), ((6,), (1,), 1), ((2, 3), (4, 1), 0), ((), (), 6), ((2,), (2**62,), 0), ((2,), (2**64,), 0),
     ((2,), (2**1000,), 0), ((1,), (1,), 2**63), ((2**40, 2), (0, 6), 0)],
)  # fmt: skip
def test_a_tensor_beyond_its_storage_is_refused(read, form, shape, strides, offset):
    with pytest.raises(ValueError, match="reaches beyond its storage"):
        read(form({"a": tensor(storage(6), shape, strides, offset)}, {"0": SIX.tobytes()}))


@BOTH
@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [((-1,), (1,), 0), ((2,), (-1,), 1), ((1,), (1,), -1), ((2, 3), (1,), 0), ((2,), (1, 1), 0), ([6], (1,), 0),
     ((6,), [1], 0), ((6,), None, 0), (6, 1, 0), (("6",), (1,), 0), ((6.0,), (1,), 0), ((True,), (1,), 0),
     ((1,) * 9, (1,) * 9, 0), ((2**62,), (0,), 0), ((2**40,) * 8, (0,) * 8, 0), ((2**70, 0), (1, 1), 0),
     ((1,), (1,), 0.0), ((1,), (1,), "0"), ((1,), (1,), None)],
)  # fmt: skip
def test_a_tensor_of_an_impossible_shape_is_refused(read, form, shape, strides, offset):
    with pytest.raises(ValueError, match="of an impossible shape"):
        read(form({"a": tensor(storage(6), shape, strides, offset)}, {"0": SIX.tobytes()}))


@BOTH
@pytest.mark.parametrize("numel", [5, 7, 2**31, 2**40, 2**61, 2**63, 2**1000])
def test_a_claimed_size_is_held_against_the_file(read, form, numel):
    with pytest.raises(ValueError, match="of another size than its pickle says"):
        read(form({"a": tensor(storage(numel), (1,), (1,))}, {"0": SIX.tobytes()}))


@pytest.mark.parametrize("numel", [7, 2**31, 2**40, 2**61])
def test_a_size_claimed_twice_is_held_against_the_file(read, numel):
    data = stream({"a": tensor(storage(numel), (1,), (1,))}, {"0": b""})
    with pytest.raises(ValueError, match="claims more than there is"):
        read(data[:-8] + struct.pack("<q", numel) + SIX.tobytes())


@BOTH
def test_an_expanded_tensor_takes_no_memory(read, form):
    found = read(form({"a": tensor(storage(6), (2**40, 2), (0, 1), 4)}, {"0": SIX.tobytes()}))["a"]
    assert found.shape == (2**40, 2) and found[2**39].tolist() == [4, 5]


def test_a_streams_storages_are_those_of_its_pickle(read):
    numbers = {"0": SIX.tobytes()}
    for keys in ([], ["1"], ["0", "0"], ["0", "1"], [0], "0", {"0": 1}, None, [["0"]]):
        with pytest.raises(ValueError, match="not those that its pickle names"):
            read(stream(PLAIN, numbers, keys=pickled(keys)))


def test_an_unknown_version_is_refused(read):
    for version in (1000, "1001", None, []):
        with pytest.raises(ValueError, match="unknown version"):
            read(stream(PLAIN, {"0": SIX.tobytes()}, version=pickled(version)))


def test_an_archive_without_a_pickle_or_a_storage_is_refused(read):
    with pytest.raises(ValueError, match="damaged or cut short"):
        read(archive(PLAIN, {}))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as entries:
        entries.writestr("data.pkl", pickled(PLAIN))
    with pytest.raises(ValueError, match="none of PyTorch's"):
        read(file.getvalue())
    with pytest.raises(ValueError, match="none of PyTorch's"):
        read(archive(PLAIN, {}, **{"other/data.pkl": b""}))


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compressed_archive_is_refused(read, compression):
    bomb = archive({"a": tensor(storage(2**24), (1,), (1,))}, {"0": bytes(2**26)}, compression=compression)
    assert len(bomb) < 2**18
    with pytest.raises(ValueError, match="compressed"):
        read(bomb)


def test_entries_over_each_other_are_refused(read):
    """Many entries in the directory of an archive that are all the same place in it."""
    numbers = {f"{i}": b"" for i in range(1, 100)}
    state = {f"{i}": tensor(storage(2**18, key=f"{i}"), (1,), (1,)) for i in range(100)}
    data = bytearray(archive(state, {"0": bytes(2**20), **numbers}))
    at = data.find(b"PK\x01\x02")
    at = first = data.find(b"PK\x01\x02", at + 4)
    while (at := data.find(b"PK\x01\x02", at + 4)) > 0:
        data[at + 16 : at + 28] = data[first + 16 : first + 28]  # the checksum and both sizes
        data[at + 42 : at + 46] = data[first + 42 : first + 46]  # where it begins
    with pytest.raises(ValueError, match="claims more than there is"):
        read(bytes(data))


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [(8, 1, "damaged"), (8, 32, "damaged"), (6, 99, "damaged"), (10, 99, "compressed"), (20, 200, "."), (24, 200, "."),
     (16, 0, "damaged"), (42, 9, "damaged"), (28, 255, "."), (30, 255, ".")],
)  # fmt: skip
def test_a_damaged_directory_is_refused(read, at, value, reason):
    """Encrypted, patched, of a version to come, compressed in an unknown way, of other sizes, elsewhere."""
    data = bytearray(archive(PLAIN, {"0": SIX.tobytes()}))
    data[data.find(b"PK\x01\x02") + at] = value
    with pytest.raises(ValueError, match=reason):
        read(bytes(data))


# --- What takes too much ---


@BOTH
@pytest.mark.parametrize(
    "code",
    [
        b"}r\xff\xff\xff\xff",
        b"}(" + text("a") + b"K\x01r\xfe\xff\xff\xff" + b"u",
        b"X\xff\xff\xff\xff",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
        b"T\xff\xff\xff\x7f",
        b"\x95\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x8b\xff\xff\xff\x7f",
        b"I" + b"9" * 100000 + b"\n",
    ],
)
def test_what_is_claimed_in_a_pickle_takes_no_memory(read, form, code):
    try:
        assert read(form(Code(code), {})) == {}  # of which the claim is but a number
    except ValueError as error:
        assert "its pickle" in str(error) or "is no tensor" in str(error)


@pytest.mark.parametrize("unit", [b"]", b"(", b"h\x00h\x00\x86q\x00"])
def test_a_pickle_of_too_many_operations_is_refused(tmp_path, unit):
    (tmp_path / "a").write_bytes(archive(b"\x80\x02)q\x00" + unit * (2**23 // len(unit)), {}))
    tracemalloc.start()
    with pytest.raises(ValueError, match="its pickle"):
        torch_file.read(tmp_path / "a")
    assert tracemalloc.get_traced_memory()[1] < 2**26
    tracemalloc.stop()


def test_a_pickle_too_long_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(archive(b"\x80\x02" + bytes(2**24), {}))
    with pytest.raises(ValueError, match="too long"):
        torch_file.read(tmp_path / "a")


NESTED, ENDS = (
    [b"\x85", b"q\x00]h\x00a", b"q\x00}" + text("a") + b"h\x00s"],
    [b"Q.", b")R.", b"}b.", b"}h\x00K\x01s.", b"h\x00a."],
)


@pytest.mark.parametrize(
    ("nested", "end"),
    [
        *((nested, b".") for nested in NESTED),
        *((NESTED[0], end) for end in ENDS),
        *(pytest.param(nested, end, marks=pytest.mark.long) for nested in NESTED[1:] for end in ENDS),
    ],
)
def test_what_is_nested_deep_is_walked_through_by_nothing(read, nested, end):
    depth = torch_pickle.MAX_OPERATIONS // 8
    with pytest.raises(ValueError):
        read(archive(Code(b"]q\x00" + nested * depth + end), {}))


def test_what_holds_itself_is_refused(read):
    with pytest.raises(ValueError, match="is no tensor"):
        read(archive(Code(b"}q\x00" + text("a") + b"h\x00s"), {}))


@pytest.mark.parametrize(
    "code",
    [b"", b"0", b".", b"R", b"b", b"Q", b"s", b"u", b"e", b"a", b"t", b"\x85", b"\x87", b"q\x00", b"h\x00", b"\x93",
     b"\x94", b"(", b"((", b"}}", b"}(u(", b"}u", b"}(" + text("a") + b"u", b"]" + text("a") + b"K\x01s", b"}K\x01a",
     b"K\x01(e", b"K\x01K\x02\x93", b"NNN", b"cos", b"X", b"X\x04\0\0\0a", b"\x8a", b"\xff", b"\x00", b"X\1\0\0\0\xff"],
)  # fmt: skip
def test_a_damaged_pickle_is_refused(read, code):
    for data in (b"\x80\x02" + code + b".", b"\x80\x02" + code, code):
        with pytest.raises(ValueError, match="its pickle|its archive"):
            read(archive(data, {}))


# --- Damage that nobody thought of ---


@pytest.mark.parametrize("file", FILES)
def test_a_file_cut_short_is_refused(tmp_path, file):
    data = (GOLDEN / "deepsound-3tier" / file).read_bytes()
    path = tmp_path / file
    for length in range(0, len(data), 97):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError):
            torch_file.read(path)


def flipped(data, draw):
    """With one to three bits of it other than they were, mostly where it says what is where."""
    damaged = bytearray(data)
    regions = [(0, 6000), (0, 6000), (0, len(data))]
    if data.startswith(torch_file.ZIP_START):
        regions += [(data.find(b"PK\x01\x02"), len(data))] * 2
    for _ in range(draw.randint(1, 3)):
        damaged[draw.randrange(*draw.choice(regions))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def meet_flipped(read, file, number, draw):
    """How many of so many damaged files are refused; each of the others is a dict of arrays."""
    data, refused = (GOLDEN / "deepsound-2tier" / file).read_bytes(), 0
    for _ in range(number):
        try:
            assert all(type(array) is np.ndarray for array in read(flipped(data, draw)).values())
        except ValueError as error:
            assert str(error).startswith(("it ", "its ")) and str(error).isprintable()
            refused += 1
    return refused


@pytest.mark.parametrize("file", FILES)
def test_flipped_bits_end_in_tensors_or_a_reason(read, file):
    assert meet_flipped(read, file, 300, random.Random(0)) > 100


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 11))
@pytest.mark.parametrize("file", FILES)
def test_thousands_of_flipped_bits_do(read, file, seed):
    assert meet_flipped(read, file, 1000, random.Random(seed)) > 300
