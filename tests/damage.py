"""A machine that damages good files: audio, MIDI, JSON, checkpoints. The same number makes the same damage.

`case("chunk/7")` gives the files of a small folder, of which one is damaged, and the command that is to meet it.
"""

import functools
import hashlib
import io
import json
import random
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from bundle_table import block, handle, read_table, table, varint
from conftest import GOLDEN
from encoding import encode

EXTREME_BYTES = b"\x00\xff\x7f\x80\x01"
FIFO, FOLDER = object(), object()  # what is in the place of a file


@dataclass(frozen=True)
class Link:
    """A symbolic link in the place of a file."""

    target: str


@dataclass
class Case:
    """Files by their names, of which one is damaged, and the command that is to meet it in their folder."""

    name: str
    command: list[str]
    files: dict[str, object] = field(default_factory=dict)


# --- Bytes of any kind ---


def truncated(data, draw):
    return data[: position(data, draw)]


def bit_flipped(data, draw):
    at = position(data, draw)
    return data[:at] + bytes([data[at] ^ 1 << draw.randrange(8)]) + data[at + 1 :]


def overwritten(data, draw):
    """A run of up to eight bytes of one extreme value."""
    at, length = position(data, draw), draw.randint(1, 8)
    return data[:at] + bytes([draw.choice(EXTREME_BYTES)]) * length + data[at + length :]


def number_overwritten(data, draw):
    """A field of four or eight bytes, in either order."""
    at, size = position(data, draw) & ~1, draw.choice([2, 4, 8])
    return data[:at] + integer(draw, size, draw.choice(["little", "big"])) + data[at + size :]


def inserted(data, draw):
    at = position(data, draw)
    return data[:at] + draw.randbytes(draw.choice([1, 2, 4, 100])) + data[at:]


def removed(data, draw):
    at = position(data, draw)
    return data[:at] + data[at + draw.choice([1, 2, 4, 100]) :]


def repeated(data, draw):
    start, end = sorted([position(data, draw), position(data, draw)])
    return data[:end] + data[start:]


def swapped(data, draw):
    a, b, c = sorted(position(data, draw) for _ in range(3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def concatenated(data, draw):
    return data + draw.choice([data, b"\0" * 100, data[::-1]])


BYTE_DAMAGES = [
    truncated, bit_flipped, overwritten, number_overwritten, inserted, removed, repeated, swapped, concatenated
]  # fmt: skip


def position(data, draw):
    """Somewhere in the data, more often than not where its header, or its footer, is."""
    last = max(0, len(data) - 1)
    return min(last, draw.choice([draw.randint(0, last), draw.randint(0, 63), max(0, last - draw.randint(0, 63))]))


def integer(draw, size, order="little"):
    """An extreme number, as a field of `size` bytes."""
    most = 2 ** (8 * size)
    value = draw.choice([0, 1, 2, most // 2 - 1, most // 2, most - 1, most - 2, draw.randrange(most)])
    return value.to_bytes(size, order)


def byte_damaged(data, draw):
    good = data
    while data == good:
        for _ in range(draw.choice([1, 1, 1, 2, 3])):
            data = draw.choice(BYTE_DAMAGES)(data, draw) if data else good[:1]
    return data


# --- Audio ---

AUDIO_FORMATS = [
    ("WAV", "PCM_16"), ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("WAV", "IMA_ADPCM"),
    ("WAVEX", "PCM_16"), ("RF64", "PCM_16"), ("FLAC", "PCM_16"), ("FLAC", "PCM_16"), ("FLAC", "PCM_24"),
    ("AIFF", "PCM_16"), ("AU", "FLOAT"), ("W64", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"),
]  # fmt: skip


@functools.cache
def good_audio(format_, subtype, channels=1, samples=2000):
    noise = np.random.default_rng(channels).normal(0, 0.1, [samples, channels])
    file = io.BytesIO()
    soundfile.write(file, noise, 16000, format=format_, subtype=subtype)
    return file.getvalue()


def riff_chunks(wav):
    """(id, content) of each chunk of a RIFF file."""
    chunks, at = [], 12
    while at + 8 <= len(wav):
        size = int.from_bytes(wav[at + 4 : at + 8], "little")
        chunks.append((wav[at : at + 4], wav[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    return chunks


def riff(chunks, lies=()):
    """A RIFF file of such chunks; `lies` are what chunks, by their places, claim as their size."""
    lies = dict(lies)
    body = b"".join(
        name + lies.get(i, len(content).to_bytes(4, "little")) + content + b"\0" * (len(content) % 2)
        for i, (name, content) in enumerate(chunks)
    )
    return b"RIFF" + lies.get("riff", (4 + len(body)).to_bytes(4, "little")) + b"WAVE" + body


def riff_damaged(wav, draw):
    """One thing wrong with a WAV: a chunk's size, a field of its format, or the chunks there are."""
    chunks = riff_chunks(wav)
    a, b = draw.randrange(len(chunks)), draw.randrange(len(chunks))
    kind = draw.choice(["size", "size", "format", "format", "format", "swap", "repeat", "drop", "junk"])
    if kind == "size":
        return riff(chunks, {draw.choice([a, "riff"]): integer(draw, 4)})
    if kind == "format":  # tag, channels, rate, bytes a second, bytes a frame, bits
        at, size = draw.choice([(0, 2), (2, 2), (4, 4), (8, 4), (12, 2), (14, 2)])
        format_ = chunks[0][1]
        chunks[0] = chunks[0][0], format_[:at] + integer(draw, size) + format_[at + size :]
    elif kind == "swap":
        chunks[a], chunks[b] = chunks[b], chunks[a]
    elif kind == "repeat":
        chunks.insert(b, chunks[a])
    elif kind == "drop":
        del chunks[a]
    else:
        junk = (
            draw.choice([b"LIST", b"fact", b"cue ", b"smpl", b"bext", b"\0\0\0\0"]),
            draw.randbytes(draw.randint(0, 50)),
        )
        chunks.insert(a, junk)
        return riff(chunks, {a: integer(draw, 4)} if draw.random() < 0.5 else {})
    return riff(chunks)


STREAMINFO = {
    "min_block": (0, 16), "max_block": (16, 16), "min_frame": (32, 24), "max_frame": (56, 24), "rate": (80, 20),
    "channels": (100, 3), "bits": (103, 5), "samples": (108, 36), "md5": (144, 128),
}  # fmt: skip


def flac_damaged(flac, draw):
    """A field of a FLAC's STREAMINFO, which are the 34 bytes from the eighth on, replaced by an extreme."""
    at, size = STREAMINFO[draw.choice(list(STREAMINFO))]
    value = draw.choice([0, 1, 2**size - 1, 2 ** (size - 1), draw.randrange(2**size)])
    info, shift = int.from_bytes(flac[8:42], "big"), 8 * 34 - at - size
    info = info & ~((2**size - 1) << shift) | value << shift
    return flac[:8] + info.to_bytes(34, "big") + flac[42:]


def damaged_audio(draw, formats=AUDIO_FORMATS):
    format_, subtype = draw.choice(formats)
    data = good = good_audio(format_, subtype, draw.choice([1, 2]))
    own = {"WAV": riff_damaged, "WAVEX": riff_damaged, "FLAC": flac_damaged}.get(format_, byte_damaged)
    while data == good:
        data = draw.choice([own, byte_damaged])(good, draw)
    return data


def chunk_case(draw):
    length = draw.choice(["1", "10", "50", "100", "2147483647"])
    flags = ["--input_file", "x.wav", "--output_dir", "out", "--chunk_length", length]
    return ["chunk_audio", *flags], {"x.wav": damaged_audio(draw)}


FFMPEG_FORMATS = [
    ("m4a", "aac"), ("m4a", "alac"), ("aac", "aac"), ("webm", "libopus"), ("mka", "flac"), ("wma", "wmav2"),
    ("wv", "wavpack"), ("tta", "tta"), ("ac3", "ac3"), ("mp2", "mp2"),
]  # fmt: skip


@functools.cache
def good_ffmpeg_audio(suffix, codec, channels=1, samples=8000):
    """Noise as FFmpeg encodes it."""
    noise = np.random.default_rng(channels).normal(0, 0.1, [samples, channels])
    file, layout = io.BytesIO(), {1: "mono", 2: "stereo"}[channels]
    container_of = {"m4a": "ipod", "aac": "adts", "mka": "matroska", "wma": "asf"}
    audio = np.rint(noise * 32768).astype(np.int16)
    same = {"fflags": "bitexact"}  # in each process: Matroska draws an identifier otherwise
    encode(file, codec, audio, 48000, layout, bit_rate=128000, format=container_of.get(suffix, suffix), options=same)
    return file.getvalue()


def ffmpeg_case(draw):
    suffix, codec = draw.choice(FFMPEG_FORMATS)
    good = good_ffmpeg_audio(suffix, codec, draw.choice([1, 2]))
    flags = ["--input_file", f"x.{suffix}", "--output_dir", "out", "--chunk_length", "100"]
    return ["chunk_audio", *flags], {f"x.{suffix}": byte_damaged(good, draw)}


def corpus_case(draw):
    """Four good files and a damaged one, for the loader."""
    return ["load", "c"], good_corpus() | {
        "c/x.wav": damaged_audio(draw, [f for f in AUDIO_FORMATS if f[0].startswith("WAV")])
    }


# --- MIDI ---

CHORALES = sorted((Path(__file__).parent / "midi").glob("*.mid"))
TIMES = [b"\0", b"\0", b"\x60", b"\x87\x40", b"\xff\xff\x7f", b"\xff\xff\xff\x7f", b"\x80" * 9 + b"\1", b"\xff" * 5000]
EVENTS = [  # a status that goes on, notes, tempos, other meta events, some of an impossible length, system messages
    b"\x40\x40", b"\x90\x3c\x40", b"\x90\xff\xff", b"\x99\x3c\x40", b"\xff\x51\3\0\0\0", b"\xff\x51\3\0\0\1",
    b"\xff\x51\3\xff\xff\xff", b"\xff\x51\1\0", b"\xff\x2f\0", b"\xff\x2f\3abc", b"\xff\x59\2\x7f\x7f", b"\xff\x58\0",
    b"\xff\x54\5\xff\xff\xff\xff\xff", b"\xff\3\2\xff\xfe", b"\xff\x99\1a", b"\xff\1\xff\xff\xff\x7f",
    b"\xf0\xff\xff\xff\x7f", b"\xf7\0", b"\xf1", b"\xf8", b"\xfd\0", b"\xff",
]  # fmt: skip


def midi_chunks(midi):
    """(id, content) of each chunk of a MIDI file."""
    chunks, at = [], 0
    while at < len(midi):
        size = int.from_bytes(midi[at + 4 : at + 8], "big")
        chunks.append((midi[at : at + 4], midi[at + 8 : at + 8 + size]))
        at += 8 + size
    return chunks


def midi_damaged(midi, draw):
    """One thing wrong with a MIDI file: a field of its header, a size, an event, or the tracks there are."""
    chunks, sizes = midi_chunks(midi), {}
    at, kind = draw.randrange(1, len(chunks)), draw.choice(["header", "size", "drop", "repeat"] + ["event"] * 4)
    (_, header), (_, track) = chunks[0], chunks[at]
    if kind == "header":  # type, tracks, division
        field = draw.choice([0, 2, 4])
        chunks[0] = b"MThd", header[:field] + integer(draw, 2, "big") + header[field + 2 :]
    elif kind == "size":
        sizes[draw.randrange(len(chunks))] = integer(draw, 4, "big")
    elif kind == "event":
        events = b"".join(draw.choice(TIMES) + draw.choice(EVENTS) for _ in range(draw.choice([1, 1, 2, 5])))
        chunks[at] = b"MTrk", draw.choice([events + track, track[: -len(b"\0\xff\x2f\0")] + events])
    elif kind == "drop":
        del chunks[at]
    else:
        chunks.insert(at, chunks[at])
    return b"".join(
        name + sizes.get(i, len(content).to_bytes(4, "big")) + content for i, (name, content) in enumerate(chunks)
    )


def damaged_midi(draw):
    return draw.choice([midi_damaged, midi_damaged, byte_damaged])(draw.choice(CHORALES).read_bytes(), draw)


def good_corpus(family="samplernn"):
    """Four good files of what a family learns, of which there are `0` to `3`."""
    if family == "pianoroll":
        return {f"c/{i}.mid": CHORALES[-1].read_bytes() for i in range(4)}
    return {f"c/{i}.wav": good_audio("WAV", "PCM_16") for i in range(4)}


def tunes_case(draw):
    """Four good files and a damaged one, for the loader of rolls whose steps last a time, or are a part of a beat."""
    return ["load", "c", draw.choice(["dt", "steps_per_beat"])], good_corpus("pianoroll") | {
        "c/x.mid": damaged_midi(draw)
    }


# --- JSON ---

HOSTILE_JSON = [
    "0", "1", "-1", "2", "1.5", "-0.0", "1e-400", "1e400", "-1e400", "NaN", "Infinity", "-Infinity", "2147483648",
    "1048576", "1048577", "9223372036854775808", "1" + "0" * 400, "1" + "0" * 5000, "true", "false", "null", '""',
    '"abc"', '"1024"', '"gru"', '"mu-law"', '"\\ud800"', '"\\u0000"', '"%s %d {0}"', '"../../etc/passwd"',
    '"' + "a" * 100000 + '"', "[]", "{}", "[0]", "[1, 2]", "[16, 64]", "[64, 16]", "[1, 1048576]", '["a", "b"]',
    "[[[]]]", '{"a": 1}', '{"__class__": "os.system"}', "[" * 900 + "]" * 900, '{"a":' * 900 + "1" + "}" * 900,
    "[" * 100000, "01", "+1", "0x10", "'a'", "undefined", "1,", "", "//", '"\n"', "[" + "0," * 100000 + "0]",
]  # fmt: skip
HOSTILE_TEXTS = [text for text in HOSTILE_JSON if text.startswith('"')]
MARK = "the place"
ENCODINGS = ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp037", "utf-7"]


def json_damaged(values, draw):
    """JSON text in which one thing is wrong, as bytes."""
    kind = draw.choice(["value"] * 6 + ["name", "twice", "missing", "encoding", "bytes", "bytes"])
    if kind == "bytes":
        return byte_damaged(json.dumps(values).encode(), draw)
    if kind == "encoding":
        return json.dumps(values).encode(draw.choice(ENCODINGS))
    values = json.loads(json.dumps(values))
    holder, key = draw.choice(list(places(values)))
    if kind == "value":
        holder[key] = MARK
        return json.dumps(values).replace(json.dumps(MARK), draw.choice(HOSTILE_JSON)).encode()
    if kind == "missing":
        del holder[key]
    elif isinstance(holder, list):
        holder.insert(key, holder[key])
    elif kind == "name":
        holder[draw.choice(["", "a" * 100000, "dim ", "Dim", "\udcff", "\n", str(key)[:-1]])] = holder.pop(key)
    else:
        holder[MARK] = MARK
        twice = f"{json.dumps(key)}: {draw.choice(HOSTILE_JSON)}"
        return json.dumps(values).replace(f"{json.dumps(MARK)}: {json.dumps(MARK)}", twice).encode()
    return json.dumps(values).encode()


def places(values):
    """(holder, key) of every value in parsed JSON."""
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        yield values, key
        if isinstance(value, (dict, list)):
            yield from places(value)


# --- Checkpoints ---

PRISM = GOLDEN / "gru-linear" / "model.ckpt-1"
PYTORCH = GOLDEN / "deepsound-3tier"
INDEX, SHARD, SETTINGS = (f"run/model.ckpt-1.{part}" for part in ("index", "data-00000-of-00001", "json"))
GENERATE = ["generate", "--output_path", "out/x.wav", "--checkpoint_path", "run/model.ckpt-1", "--dur", "0.001",
            "--jit_compile", "False"]  # fmt: skip
WITHOUT_DUR = [argument for argument in GENERATE if argument not in ("--dur", "0.001")]


def of_prism():
    """The config of a checkpoint of the original's, its index and its shard."""
    config = json.loads((PRISM.parent / "model.config.json").read_text())
    return config, *(PRISM.with_name(Path(name).name).read_bytes() for name in (INDEX, SHARD))


def of_this_project(family):
    """The same of a family's tiny network, with what a training by adam with averages keeps of it."""
    import keras  # here, for what needs no checkpoint is met without TensorFlow

    from samplernn.checkpoints import store
    from samplernn.models import registry
    from samplernn.models.optimizer import make_optimizer

    keras.utils.set_random_seed(0)
    model = registry.build(registry.FAMILIES[family].config.tiny())
    model.average_weights(0.9)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, Path(INDEX).stem)
        store.save(path, model, make_optimizer("adam", 0.001, 0.0, model), {})
        files = [path.with_name(Path(name).name).read_bytes() for name in (INDEX, SHARD)]
    return registry.config_to_dict(model.config), *files


CHECKPOINTS = {
    "samplernn": of_prism,
    "wavenet": functools.partial(of_this_project, "wavenet"),
    "vqvae": functools.partial(of_this_project, "vqvae"),
    "pianoroll": functools.partial(of_this_project, "pianoroll"),
}


@functools.cache
def good_checkpoint(family="samplernn"):
    """The files of a checkpoint that says all that one of this project says."""
    config, index, shard = CHECKPOINTS[family]()
    logs = {"loss": 5.5, "accuracy": 0.1, "val_loss": 5.4, "val_accuracy": 0.2}
    files = [Path(name).name for name in good_corpus(family)]
    settings = {
        "epoch": 1,
        "history": [logs],
        "config": config,
        "arguments": {"data_dir": "c", "batch_size": 2, "temperature": [0.95], "resume": True, "seed": None},
        "sample_rate": None if family == "pianoroll" else 16000,
        "versions": {"tensorflow": "2.21.0"},
        "split": {"training": files[:2], "validation": files[2:]},
    }
    return {
        INDEX: index,
        SHARD: shard,
        SETTINGS: json.dumps(settings).encode(),
    }


def generating(family):
    """The command that generates from such a network's checkpoint, and the files that it needs beside that."""
    if family != "vqvae":
        return GENERATE, {}
    return [*WITHOUT_DUR, "--reconstruct", "in.wav"], {"in.wav": good_audio("WAV", "PCM_16", samples=64)}


def generate_case(changed, family):
    command, files = generating(family)
    return command, good_checkpoint(family) | files | changed


def config_case(draw, family="samplernn"):
    config = json.loads(good_checkpoint(family)[SETTINGS])["config"]
    command, files = generate_case({"my.config.json": json_damaged(config, draw)}, family)
    del files[SETTINGS]
    return [*command, "--config_file", "my.config.json"], files


def settings_case(draw, family="samplernn"):
    return generate_case({SETTINGS: json_damaged(json.loads(good_checkpoint(family)[SETTINGS]), draw)}, family)


def evaluate_case(draw, family="samplernn"):
    """Damaged settings before they say what is to be evaluated, and on what."""
    path = draw.choice(["run", "run/model.ckpt-1"])
    flags = draw.choice([["--held_out"], ["--held_out", "--data_dir", "c"], ["--data_dir", "c"]])
    command = ["evaluate", "--checkpoint_path", path, *flags, "--jit_compile", "False", "--output_file", "out/t.csv"]
    return command, good_corpus(family) | settings_case(draw, family)[1]


def paths_case(draw):
    """Settings of which a name or a folder is none, where a generation or an evaluation looks for it."""
    family = draw.choice(["samplernn", "pianoroll"])
    settings = json.loads(good_checkpoint(family)[SETTINGS])
    arguments, split = settings["arguments"], settings["split"]
    holder, key = draw.choice([(arguments, "data_dir"), (split["training"], 0), (split["validation"], 0)])
    holder[key] = MARK
    damaged = json.dumps(settings).replace(json.dumps(MARK), draw.choice(HOSTILE_TEXTS)).encode()
    command, files = draw.choice([settings_case, evaluate_case])(draw, family)
    return command, files | {SETTINGS: damaged}


def torch_case(draw):
    """A damaged file of PyTorch's, in both formats."""
    good = PYTORCH / draw.choice(["ep1-it1", "legacy-ep1-it1"])
    command = [argument.replace("model.ckpt-1", "ep1-it1") for argument in GENERATE]
    config = (PYTORCH / "settings.json").read_bytes()
    sizes = {"network": "deepsound", "frame_sizes": [4, 16], "num_rnn_layers": 2, "learned_initial_state": True}
    kept = {key: value for key, value in json.loads(config).items() if key in ("dim", "q_levels", "weight_norm")}
    files = {"run/ep1-it1": byte_damaged(good.read_bytes(), draw)}
    return command, files | {"run/its.config.json": json.dumps(sizes | kept).encode()}


def resume_case(draw, family="samplernn"):
    """Damaged settings before a training that goes on with them."""
    flags = ["--data_dir", "c", "--resume_from", "run/model.ckpt-1", "--num_epochs", "2", "--batch_size", "2"]
    quick = ["--generate", "False", "--jit_compile", "False", "--logdir_root", "out", "--output_dir", "out"]
    command = ["train", *flags, *quick, "--checkpoint_policy", "Best"]
    return command, good_corpus(family) | settings_case(draw, family)[1]


def learn_case(draw):
    """A damaged MIDI file among those that a training has."""
    flags = ["--data_dir", "c", "--config_file", "my.config.json", "--num_epochs", "1", "--batch_size", "2"]
    quick = ["--generate", "False", "--jit_compile", "False", "--logdir_root", "out", "--output_dir", "out"]
    config = json.loads(good_checkpoint("pianoroll")[SETTINGS])["config"] | {"tune_length": 32}
    files = good_corpus("pianoroll") | {"c/x.mid": damaged_midi(draw), "my.config.json": json.dumps(config).encode()}
    return ["train", *flags, *quick, "--skip_unusable", draw.choice(["True", "False"])], files


def primer_case(draw):
    """Damaged MIDI to go on from, or whose notes are kept."""
    to_read = [["--seed_dur", "3"], ["--seed_dur", "3", "--seed_offset", "9", "--include_seed", "True"]]
    flags = draw.choice([["--hold", "x.mid"], *(["--seed", "x.mid", *flags] for flags in to_read)])
    return [*GENERATE, *flags], good_checkpoint("pianoroll") | {"x.mid": damaged_midi(draw)}


def shard_case(draw, family="samplernn"):
    return generate_case({SHARD: byte_damaged(good_checkpoint(family)[SHARD], draw)}, family)


def state_case(draw):
    """The file `checkpoint`, from which nothing is read, points at pipes, which would never answer."""
    traps = ["../trap/model.ckpt-1", "/etc/passwd", "../../../etc/passwd", "model.ckpt-1/../../trap/model.ckpt-1"]
    trap = draw.choice(traps)
    state = f'model_checkpoint_path: "{trap}"\nall_model_checkpoint_paths: "{trap}"\n'.encode()
    if draw.random() < 0.5:
        state = byte_damaged(state, draw)
    pipes = {name.replace("run/", "trap/"): FIFO for name in (INDEX, SHARD, SETTINGS)}
    where = draw.choice(["run/checkpoint", "run/model.ckpt-1/checkpoint"])
    run = draw.choice(["run", "run/model.ckpt-1.index", "run/model.ckpt-1"])
    return [argument.replace("run/model.ckpt-1", run) for argument in GENERATE], good_checkpoint() | pipes | {
        where: state
    }


def index_case(draw, family="samplernn"):
    return generate_case({INDEX: index_damaged(good_checkpoint(family)[INDEX], draw)}, family)


def index_damaged(index, draw):
    """An index that is wrong in what it says, or how; but for the plainest damage, all checksums are right."""
    kind = draw.choice(["bytes", "block", "compression", "where", "footer", "keys"] + ["entry"] * 6)
    entries = read_table(index)
    content = block(entries)
    if kind == "bytes":
        return byte_damaged(index, draw)
    if kind == "block":
        return table(byte_damaged(content, draw))
    if kind == "compression":
        claim = varint(int.from_bytes(integer(draw, 4), "little"))
        return table(draw.choice([content, claim + content[:100]]), compression=draw.choice([1, 1, 2, 255]))
    sizes = [0, 1, 2**31, 2**32, 2**33, 2**60, 2**63, 2**64 - 1, 2**64 - 6, len(content) - 1]
    if kind == "where":
        return table(content, where=(draw.choice([0, *sizes]), draw.choice(sizes)))
    if kind == "footer":
        return table(content, footer=b"".join(handle(draw.choice(sizes), draw.choice(sizes)) for _ in range(2)))
    if kind == "keys":
        return table(block(keys_damaged(entries, draw)))
    at = draw.randrange(len(entries))
    key, value = entries[at]
    entries[at] = key, draw.choice([byte_damaged, entry_damaged])(value, draw)
    return table(block(entries))


def keys_damaged(entries, draw):
    """Entries that are missing, there twice, in no order, or named as a path."""
    at = draw.randrange(len(entries))
    kind = draw.choice(["missing", "twice", "order", "path", "none", "long"])
    if kind == "missing":
        return entries[:at] + entries[at + 1 :]
    if kind == "twice":
        return entries[: at + 1] + entries[at:]
    if kind == "order":
        return [entries[0], *draw.sample(entries[1:], len(entries) - 1)]
    if kind == "none":
        return entries[: draw.randint(0, 1)]
    name = {"path": draw.choice([b"../../etc/passwd", b"/etc/passwd", b"\xff\xfe", b"a\0b"]), "long": b"k" * 2**17}[
        kind
    ]
    suffix = draw.choice([b"", b"/.ATTRIBUTES/VARIABLE_VALUE"])
    return sorted([*entries, (name + suffix, entries[-1][1])])


ENTRY_NUMBERS = [-1, -(2**31), -(2**63), 0, 1, 2, 7, 2**20, 2**31 - 1, 2**34, 2**40, 2**62, 2**63 - 1]


def entry_damaged(value, draw):
    """A tensor's entry with an extreme in it. Its fields: 1 dtype, 2 shape, 3 shard, 4 offset, 5 size, 6 checksum,
    7 slices; of a field that is there twice, the last counts."""

    def number():
        return draw.choice(ENTRY_NUMBERS)

    def sub(tag, content):
        return bytes([tag << 3 | 2]) + varint(len(content)) + content

    def dimensions(sizes):
        return b"".join(sub(2, b"\x08" + varint(size)) for size in sizes)

    kind = draw.choice(["dtype", "dtype", "shape", "shape", "shape", "tag", "slices", "checksum"])
    if kind == "dtype":
        size = b"\x28" + varint(number()) if draw.random() < 0.3 else b""
        big = sub(2, dimensions([draw.choice([2**20, 2**28])])) if draw.random() < 0.3 else b""
        return value + b"\x08" + varint(draw.choice([*range(24), 99, 101, 120, -1, 2**31])) + size + big
    if kind == "shape":
        sizes = [number() for _ in range(draw.choice([1, 1, 2, 3, 300]))]
        total = b"\x28" + varint(4 * int(np.prod(sizes, dtype=object))) if draw.random() < 0.5 else b""
        unknown = b"\x18\x01" if draw.random() < 0.2 else b""
        return b"\x08\x01" + sub(2, dimensions(sizes) + unknown) + b"\x28" + varint(number()) + total
    if kind == "tag":
        return value + bytes([draw.choice([3, 4, 5]) << 3]) + varint(number())
    if kind == "slices":
        extent = sub(1, b"\x08" + varint(number()) + b"\x10" + varint(number()))
        return value + sub(7, extent) * draw.choice([1, 2])
    return value + b"\x35" + draw.randbytes(4)


# --- Codes ---


def good_codes():
    """The arrays of a file of codes that the good autoencoder has made."""
    from samplernn.models.registry import FAMILIES

    made_of = hashlib.sha256(b"".join(good_checkpoint("vqvae")[name] for name in (SHARD, INDEX)))
    of = FAMILIES["vqvae"].config.tiny().codes
    codes = np.random.default_rng(0).integers(0, of.levels, 16, np.int32)
    return {"codes": codes, "rate": 16000, "hop": of.hop, "levels": of.levels, "encoder": made_of.hexdigest()}


def codes_case(draw):
    data = damaged_npz(good_codes(), draw)
    return [*WITHOUT_DUR, "--codes", "x.npz"], good_checkpoint("vqvae") | {"x.npz": data}


def damaged_npz(arrays, draw, others=lambda array: []):
    """An npz of which an array, its header or its archive is wrong, compressed in whichever way.

    `others` gives what else may be in an array's place.
    """
    arrays, kind = dict(arrays), draw.choice(["archive", "member", "array", "claim"] * 2 + ["missing"])
    name, compression = draw.choice(list(arrays)), draw.choice(COMPRESSIONS)
    if kind == "missing":
        del arrays[name]
    elif kind == "array":
        arrays[name] = draw.choice(HOSTILE_ARRAYS + others(arrays[name]))
    members = {name: npy(array) for name, array in arrays.items()}
    if kind == "member":
        members[name] = byte_damaged(members[name], draw)
    elif kind == "claim":
        members[name] = claiming(members[name], draw)
    data = npz(members, compression)
    return byte_damaged(data, draw) if kind == "archive" else data


COMPRESSIONS = 3 * [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED] + [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def claiming(member, draw):
    """An array with a header that says something else about it."""
    array = np.load(io.BytesIO(member))
    shapes = [(), (2**40,), (2**31, 2**31), (-1,), (0,), array.shape[::-1], (*array.shape, 1), "a", None]
    types = ["<f8", ">f4", "<f2", "<c8", "|O", "<U4", "|V4", "<M8[D]", "|S4", "|b1", [("a", "<f4")], "nonsense", 1]
    says = {"descr": array.dtype.str, "fortran_order": array.flags.f_contiguous, "shape": array.shape}
    says |= draw.choice([{"shape": draw.choice(shapes)}, {"descr": draw.choice(types)}, {"fortran_order": 1}])
    text = draw.choice([repr(says), repr(says)[:-1], repr(says) + " " * 2**15, "__import__('os').system('id')"])
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text.encode() + array.tobytes()


def npz(members, compression):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression, compresslevel=1) as archive:
        for name, data in members.items():
            with archive.open(f"{name}.npy", "w") as member:
                member.write(data)
    return file.getvalue()


HOSTILE_ARRAYS = [
    -1, 0, 1, 2**31, 2**63 - 1, 2**64 - 1, 0.5, np.nan, True, "", "a" * 10000, [], [[1]], [2**40], [-1], [255], [0.5],
    ["a"], [True], np.full(10**6, 255, np.uint8), np.array([None, {}], object), np.array("x", object), b"\0",
    np.zeros(3, [("a", "i4")]), np.array("2026-01-01", "M8[D]"), np.zeros([2, 0]), np.float32(1e30), 1j,
]  # fmt: skip


# --- RNN4Music's checkpoints ---

RNN4MUSIC = GOLDEN / "pianoroll" / "parameters.npz"


@functools.cache
def good_parameters():
    """The arrays that are its weights."""
    with np.load(RNN4MUSIC) as arrays:
        return {name: arrays[name] for name in arrays if name == "by" or name[-2] == "_"}


def npz_case(draw):
    """Its network, of which something is wrong, where it is generated from, measured or trained on."""
    command = [argument.replace("model.ckpt-1", "parameters.npz") for argument in GENERATE]
    quick = ["--jit_compile", "False"]
    evaluate = ["evaluate", "--checkpoint_path", "run/parameters.npz", "--data_dir", "c", "--output_file", "out/t.csv"]
    learn = ["train", "--init_from", "run/parameters.npz", "--data_dir", "c", "--num_epochs", "1", "--batch_size", "2"]
    folders = ["--generate", "False", "--logdir_root", "out", "--output_dir", "out"]
    command = draw.choice([command] * 8 + [[*evaluate, *quick]] * 2 + [[*learn, *quick, *folders]])
    files = good_corpus("pianoroll") if "c" in command else {}
    return command, files | {"run/parameters.npz": damaged_npz(good_parameters(), draw, otherwise)}


def otherwise(array):
    """The same numbers of other types, in another order, and others of the same type."""
    types = [array.astype(dtype) for dtype in (np.float64, ">f4", np.float16, np.int8, "c8", object)]
    return 4 * [*types, np.asfortranarray(array), array.T, array * np.nan, array * 1e38, array.astype(float) * 1e200]


# --- Names and what is no file ---

NAMES = [
    "a b.wav", '"q".wav', "'.wav", "ü.wav", "音.wav", "a\nb.wav", "-x.wav", "--help.wav", "x.wav ", "%s%d.wav",
    "{0}.wav", "[1]*?.wav", "$(id).wav", "`id`.wav", ";id;.wav", "a\\b.wav", "\x1b[31m.wav", "\udcff\udcfe.wav",
    "é\udc80.wav", "~.wav", ".wav", "..wav", "٣-²-3.wav", "9" * 200 + ".wav", "n" * 230 + ".wav", "n" * 251 + ".wav",
    "n" * 252 + ".wav", "n" * 5000, "con.wav",
]  # fmt: skip


def name_case(draw):
    """A good file, folder or checkpoint under a name that is trouble."""
    name, good = draw.choice(NAMES), good_audio("WAV", "PCM_16")
    use = draw.choice(["chunk", "corpus", "seed", "output", "out_folder", "config", "checkpoint"])
    path = draw.choice(["", "./"]) + name
    there = {} if len(name.encode("utf-8", "surrogateescape")) > 255 else {name: good}
    if use == "chunk":
        flags = [f"--input_file={path}", "--output_dir", "out", "--chunk_length", "50"]
        return ["chunk_audio", *flags], there
    if use == "corpus":
        return ["load", "c"], good_corpus() | {f"c/{name}": data for name, data in there.items()}
    if use == "seed":
        return [*GENERATE, f"--seed={path}"], good_checkpoint() | there
    if use == "output":
        command = list(GENERATE)
        command[1:3] = [f"--output_path=out/{name}"]
        return command, good_checkpoint()
    if use == "out_folder":
        flags = ["--input_file", "good.wav", f"--output_dir=out/{name}", "--chunk_length", "50"]
        return ["chunk_audio", *flags], {"good.wav": good}
    if use == "config":
        files = {f: data for f, data in good_checkpoint().items() if f != SETTINGS}
        config = json.dumps(json.loads(good_checkpoint()[SETTINGS])["config"]).encode()
        return [*GENERATE, f"--config_file={path}"], files | dict.fromkeys(there, config)
    command = [argument.replace("run/model.ckpt-1", f"{path}/model.ckpt-1") for argument in GENERATE]
    files = {f.replace("run", name): data for f, data in good_checkpoint().items()}
    return command, files if there else {}


def midi_name_case(draw):
    """Good MIDI, or what is made of it, under such a name."""
    name, good = draw.choice(NAMES).replace(".wav", ".mid"), CHORALES[0].read_bytes()
    use = draw.choice(["corpus", "hold", "seed", "output", "output"])
    there = {} if len(name.encode("utf-8", "surrogateescape")) > 255 else {name: good}
    if use == "corpus":
        return ["load", "c", "dt"], good_corpus("pianoroll") | {f"c/{name}": data for name, data in there.items()}
    if use == "output":
        command = list(GENERATE)
        command[1:3] = [f"--output_path=out/{name}"]
        return command, good_checkpoint("pianoroll")
    return [*GENERATE, f"--{use}={name}"], good_checkpoint("pianoroll") | there


SPECIALS = [FIFO, FOLDER, Link("/dev/zero"), Link("x.wav"), Link("."), Link("nowhere"), Link("/dev/stdin")]


def special_case(draw):
    """What is no file where one is expected."""
    use = draw.choice(["chunk", "corpus", "seed", "config", "beside", INDEX, SHARD, SETTINGS])
    special = {"x.wav": draw.choice(SPECIALS)}
    if use == "chunk":
        return ["chunk_audio", "--input_file", "x.wav", "--output_dir", "out"], special
    if use == "corpus":
        return ["load", "c"], good_corpus() | {"c/x.wav": special["x.wav"]}
    good = good_checkpoint()
    if use == "seed":
        return [*GENERATE, "--seed", "x.wav"], good | special
    if use == "config":
        return [*GENERATE, "--config_file", "x.wav"], good | special
    if use == "beside":
        return GENERATE, {INDEX: good[INDEX], SHARD: good[SHARD], "run/x.config.json": special["x.wav"]}
    return GENERATE, good | {use: special["x.wav"]}


def midi_special_case(draw):
    """The same of MIDI, and of RNN4Music's checkpoints."""
    use, special = draw.choice(["corpus", "hold", "seed", "npz"]), draw.choice(SPECIALS)
    if use == "corpus":
        return ["load", "c", "dt"], good_corpus("pianoroll") | {"c/x.mid": special}
    if use == "npz":
        command = [argument.replace("model.ckpt-1", "parameters.npz") for argument in GENERATE]
        return command, {"run/parameters.npz": special}
    return [*GENERATE, f"--{use}", "x.mid"], good_checkpoint("pianoroll") | {"x.mid": special}


# --- All of them ---

KINDS: dict[str, Callable] = {
    "chunk": chunk_case,
    "ffmpeg": ffmpeg_case,
    "corpus": corpus_case,
    "config": config_case,
    "settings": settings_case,
    "evaluate": evaluate_case,
    "torch": torch_case,
    "resume": resume_case,
    "index": index_case,
    "shard": shard_case,
    "state": state_case,
    "name": name_case,
    "special": special_case,
    "codes": codes_case,
    "midi_name": midi_name_case,
    "midi_special": midi_special_case,
    "tunes": tunes_case,
    "learn": learn_case,
    "primer": primer_case,
    "npz": npz_case,
    "paths": paths_case,
}
OF_NETWORKS = ("config", "settings", "evaluate", "resume", "index", "shard")
KINDS |= {
    f"{family}_{kind}": functools.partial(KINDS[kind], family=family)
    for family in ("wavenet", "vqvae", "pianoroll")
    for kind in OF_NETWORKS
}

WITHOUT_TENSORFLOW = ("chunk", "ffmpeg", "corpus", "tunes")


def cases(**numbers):
    """The names of so many cases of each kind."""
    return [f"{kind}/{i}" for kind, number in numbers.items() for i in range(number)]


def case(name):
    """The case of a name, which is of a kind and a number; always the same."""
    command, files = KINDS[name.split("/")[0]](random.Random(name))
    return Case(name, list(command), files)
