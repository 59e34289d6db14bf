"""train.py --check: what each check tells of what is there and of what is broken, and that none ends in a traceback."""

import importlib.metadata
import json
import math
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import av
import numpy as np
import pytest
import soundfile
import tensorflow as tf
from conftest import ROOT
from trainings import multiply_losses

from samplernn.audio import spectrogram
from samplernn.checkpoints import run_folders
from samplernn.commands import check as setup_check
from samplernn.commands import check_machine as machine
from samplernn.commands import check_training as training
from samplernn.commands import cli
from samplernn.commands.check_lines import Line, note, ok, problem
from samplernn.corpus.scan import CACHE
from samplernn.models.pianoroll.config import PianoRollConfig
from samplernn.models.registry import config_to_dict
from samplernn.models.samplernn import model as network
from samplernn.options.train import CheckOptions

OPTIONS = CheckOptions(jit_compile=False)
INSTALL = "pip install -r requirements.txt"
FOR_GPU = "pip install -r requirements-gpu.txt (on Windows: inside WSL2); nvidia-smi "


def fails(error):
    def fail(*args, **kwargs):
        raise error

    return fail


def test_each_thing_is_a_line_and_the_last_one_counts_the_problems(monkeypatch, capsys):
    lines = [ok("Python 3.12.1"), note("no GPU\r: none"), problem("keras is not installed: " + INSTALL)]
    for number, (status, last) in enumerate([(0, "Everything needed is there."), (1, "1 problem; see above.")], 2):
        monkeypatch.setattr(setup_check, "check", lambda options, number=number: lines[:number])
        assert setup_check.report(OPTIONS) == status
        told = ["ok       Python 3.12.1", r"note     no GPU\r: none", f"problem  keras is not installed: {INSTALL}"]
        assert capsys.readouterr().out.splitlines() == [*told[:number], last]
    monkeypatch.setattr(setup_check, "check", lambda options: [problem("a: do b"), problem("c: do d")])
    assert setup_check.report(OPTIONS) == 1
    assert capsys.readouterr().out.endswith("\n2 problems; see above.\n")


def test_libraries_are_held_against_their_bounds(monkeypatch, tmp_path):
    needed = ["# Needed", "", "numpy>=1.26,<3  # numbers", "keras>=3.12,<4", "soundfile>=0.12", "broken>=1", "tqdm"]
    (tmp_path / "requirements.txt").write_text("\n".join(needed))
    monkeypatch.setattr(machine, "SCRIPTS", tmp_path)
    there = {"numpy": "3.0.1", "soundfile": "0.13rc1", "broken": None, "tqdm": "4.67"}

    def version(name):
        if name not in there:
            raise importlib.metadata.PackageNotFoundError(name)
        return there[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    numpy, keras, sound, broken, tqdm = machine.check_libraries()
    assert numpy == problem(f"numpy 3.0.1 is not <3,>=1.26: {INSTALL}")
    assert keras == problem(f"keras is not installed: {INSTALL}")
    assert (sound, tqdm) == (ok("soundfile 0.13rc1"), ok("tqdm 4.67"))
    assert broken == problem(f"broken None is not >=1: {INSTALL}")


@pytest.mark.parametrize(("version", "mark"), [("3.9.18", "problem"), ("3.12.1", "ok"), ("3.14.0", "problem")])
def test_python_is_held_against_its_bounds(monkeypatch, version, mark):
    monkeypatch.setattr(machine.platform, "python_version", lambda: version)
    (line,) = machine.check_python()
    assert line.mark == mark and line.text.startswith(f"Python {version}")


def test_whatever_is_missing_the_rest_is_checked(monkeypatch, capsys, tmp_path):
    for name in ("tensorflow", "packaging", "packaging.requirements", "packaging.specifiers", "soundfile"):
        monkeypatch.setitem(sys.modules, name, None)
    options = CheckOptions(logdir_root=str(tmp_path), output_dir=str(tmp_path / "file" / "new"))
    (tmp_path / "file").touch()
    assert setup_check.report(options) == 1
    *lines, last = capsys.readouterr().out.splitlines()
    problems = [line for line in lines if line.startswith("problem  ")]
    assert problems[-1].startswith("problem  --output_dir") and last == f"{len(problems)} problems; see above."
    for name in ("Python", "requirements.txt", "TensorFlow", "soundfile"):
        (line,) = (line for line in problems if line.startswith(f"problem  {name}: "))
        assert "ModuleNotFoundError (" in line and line.endswith(f"; {INSTALL}")
    assert f"ok       --logdir_root {tmp_path / 'default'}: " in "\n".join(lines)


@pytest.mark.parametrize(
    ("driver", "hidden", "mark", "said"),
    [
        (True, None, "problem", f"NVIDIA's driver is here, but TensorFlow sees no GPU: {FOR_GPU}must list the GPU"),
        (True, "-1", "note", "CUDA_VISIBLE_DEVICES hides all GPUs: training runs on the CPU"),
        (False, None, "note", "no GPU: training runs on the CPU, which is slow for the default config"),
    ],
)
def test_a_gpu_that_tensorflow_does_not_see_is_a_problem_if_its_driver_is_there(
    monkeypatch, tmp_path, driver, hidden, mark, said
):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    if hidden:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    monkeypatch.setattr(machine, "NVIDIA_DRIVER", tmp_path if driver else tmp_path / "none")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(machine, "train_a_step", lambda device, options: None)
    monkeypatch.setattr(machine, "use_xla", lambda jit_compile: False)
    seen, step, xla = machine.check_tensorflow(OPTIONS)
    assert seen == Line(mark, said)
    assert step == ok("a training step on the CPU")
    assert xla == note("XLA does not compile here: everything works without, and takes longer")


@pytest.mark.xla
def test_each_gpu_is_told_and_tried(monkeypatch):
    def step(device, options):
        if device == "GPU:1":
            raise tf.errors.UnimplementedError(None, None, "DNN library is not found.\n\t [[{{node x}}]]")

    monkeypatch.setattr(machine, "prepare_gpus", lambda: ["first", "second"])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {"device_name": f"NVIDIA the {gpu}"})
    monkeypatch.setattr(machine, "_gpu_memory", lambda: {0: 79_600_000_000})
    monkeypatch.setattr(machine, "train_a_step", step)
    first, second, xla = machine.check_tensorflow(OPTIONS)
    assert first == ok("GPU 0, NVIDIA the first, 79.6 GB for TensorFlow: a training step with cuDNN")
    remedy = f"{FOR_GPU}shows the driver and what else uses the GPU"
    assert second == problem(f"GPU 1: UnimplementedError (DNN library is not found.); {remedy}")
    assert xla == ok("XLA compiles")


def test_no_device_tells_memory_where_there_is_no_gpu():
    assert machine._gpu_memory() == {}


def test_a_step_whose_result_is_no_number_is_a_problem(monkeypatch):
    machine.train_a_step("CPU:0", OPTIONS)  # raises nothing
    multiply_losses(monkeypatch, math.nan, network)
    first, step, *_ = machine.check_tensorflow(OPTIONS)
    said = f"a training step on the CPU: FloatingPointError (the result is not a number); {INSTALL}"
    assert (first.mark, step) == ("note", problem(said))


@pytest.mark.parametrize(
    ("broken", "marks", "said"),
    [
        ([], ["ok"], "reads WAV, FLAC, OGG, MP3"),
        (["OGG", "MP3"], ["ok", "note"], "does not read OGG, MP3, of which chunk_audio.py cuts none"),
        (["WAV", "FLAC", "OGG", "MP3"], ["problem"], f"does not read WAV, FLAC, OGG, MP3: {INSTALL}"),
    ],
)
def test_formats_are_written_and_read_back(monkeypatch, broken, marks, said):
    plain = soundfile.write

    def write(file, audio, rate, format):
        if format in broken[::2]:
            raise ValueError("unknown format")
        plain(file, audio[::-1] if format in broken else audio, rate, format=format)  # other audio than was given

    monkeypatch.setattr(soundfile, "write", write)
    lines = list(machine.check_audio_formats())
    assert [line.mark for line in lines] == marks
    assert lines[-1].text == f"soundfile with libsndfile {soundfile.__libsndfile_version__} {said}"


def test_what_ffmpeg_decodes_is_told(monkeypatch):
    (line,) = machine.check_ffmpeg()
    assert line.mark == "ok" and line.text.endswith("decodes aac, alac, mp3, opus, wmav2")
    monkeypatch.setattr(av, "codecs_available", {"aac", "mp3", "opus", "wmav2"})
    (line,) = machine.check_ffmpeg()
    assert line == note(f"FFmpeg, of av {av.__version__}, lacks alac, of which chunk_audio.py cuts none")


def test_a_library_that_cannot_be_loaded_is_a_problem(monkeypatch, told):
    monkeypatch.setattr(machine, "check_ffmpeg", fails(ImportError("libavcodec.so: no such file")))
    monkeypatch.setattr(spectrogram, "draw", fails(ImportError("Numba needs NumPy 2.2 or less")))
    lines = list(map(str, setup_check.check(CheckOptions())))
    assert f"problem  av: ImportError (libavcodec.so: no such file); {INSTALL}" in lines
    assert f"problem  librosa and matplotlib: ImportError (Numba needs NumPy 2.2 or less); {INSTALL}" in lines


@pytest.mark.parametrize(
    ("content", "mark", "said"),
    [
        ("MemTotal:       16000000 kB\nMemFree: 1 kB\nMemAvailable:   12000000 kB\n", "ok", "16.4 GB, 12.3 GB of it"),
        (
            "MemTotal:       16000000 kB\nMemAvailable:    2000000 kB\n",
            "note",
            "on a CPU this network and batch size take about 5.3 GB",
        ),
        ("MemTotal:       16000000 kB\n", "ok", "memory: 16.4 GB"),
    ],
)
def test_memory_is_told(monkeypatch, tmp_path, content, mark, said):
    (tmp_path / "meminfo").write_text(content)
    monkeypatch.setattr(machine, "MEMORY", tmp_path / "meminfo")
    (line,) = machine.check_memory(5_300_000_000)
    assert line.mark == mark and said in line.text


def test_memory_where_the_system_has_no_such_file(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "MEMORY", tmp_path / "none")
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 10**7}
    monkeypatch.setattr(os, "sysconf", sizes.get, raising=False)
    assert list(machine.check_memory(5_300_000_000)) == [ok("memory: 41.0 GB")]
    monkeypatch.setattr(os, "sysconf", fails(ValueError()), raising=False)
    (line,) = machine.check_memory(5_300_000_000)
    assert line == note("how much memory there is, the system does not tell")


def test_folders_are_tried_and_nothing_is_left_in_them(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    free = 12_340_000_000
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    for folder in (tmp_path, tmp_path / "new" / "newer"):
        (line,) = training.check_folder("--output_dir", folder, 940_000_000)
        assert line == ok(f"--output_dir {folder}: 12.3 GB free, and files can be written")
    for folder in (tmp_path / "file", tmp_path / "file" / "new"):
        (line,) = training.check_folder("--output_dir", folder, 940_000_000)
        assert line == problem(f"--output_dir {folder} can't be written (Not a directory); choose another folder")
    free = 500_000_000
    (line,) = training.check_folder("--logdir_root", tmp_path, 940_000_000)
    said = "0.5 GB free, and a checkpoint of this network takes 0.94 GB; make room, or choose another folder"
    assert line == problem(f"--logdir_root {tmp_path}: {said}")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.fixture
def told(make_corpus, monkeypatch, tmp_path):
    """A function that gives what is told of a training's flags, on a machine with little room."""
    corpus = str(make_corpus([200] * 2 + [201]))
    monkeypatch.setattr(machine, "check_tensorflow", lambda options: ())
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=50_000_000))
    monkeypatch.setattr(machine, "MEMORY", tmp_path / "meminfo")
    (tmp_path / "meminfo").write_text("MemTotal: 2000000 kB\n")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.config.json").write_text('{"seq_len": 64, "dim": 16, "num_rnn_layers": 1, "emb_size": 16}')
    flags = {"data_dir": (corpus,), "config_file": "tiny.config.json", "batch_size": 1}

    def told(**more):
        lines = list(map(str, setup_check.check(CheckOptions(**flags | more))))
        return lines[lines.index(next(line for line in lines if "spectrograms" in line)) + 1 :]

    return told


RECORDINGS = "ok       --data_dir {}/corpus: 2 files to train on, 1 to validate with, at 16000 Hz"
ROOM = [
    "ok       memory: 2.0 GB",
    "ok       --logdir_root logdir/default: 0.1 GB free, and files can be written",
    "ok       --output_dir generated/default: 0.1 GB free, and files can be written",
]


def test_what_a_training_would_use_is_told(told, tmp_path):
    assert told() == [RECORDINGS.format(tmp_path), *ROOM]
    assert told(generate=False, seed="none.wav") == [RECORDINGS.format(tmp_path), *ROOM]
    assert told(data_dir=()) == ROOM
    memory, *folders = told(config_file=str(ROOT / "default.config.json"), data_dir=())
    assert memory.startswith("note     memory: 2.0 GB; on a CPU this network and batch size take about 2.")
    taken = "0.1 GB free, and a checkpoint of this network takes 0.94 GB; make room, or choose another folder"
    assert folders == [
        f"problem  {folder}/default: {taken}" for folder in ("--logdir_root logdir", "--output_dir generated")
    ]


def test_a_validation_that_flatters_is_remarked_on(told, overlapping_chunks, caplog):
    def remarks(**flags):
        caplog.clear()
        line, *_ = told(data_dir=(str(overlapping_chunks),), **flags)
        assert line.startswith(f"ok       --data_dir {overlapping_chunks}: ")
        return [record.getMessage() for record in caplog.records]

    assert remarks() == [
        "Of 1 held-out file 1 overlaps with files that are trained on: the validation loss flatters; --hold_out"
        " recordings holds whole recordings out, --hold_out time a stretch of each."
    ]
    assert remarks(hold_out="recordings") == []


def test_what_a_training_would_refuse_is_a_problem(told, monkeypatch, tmp_path):
    for flags, said in [
        ({"batch_size": 64}, "--batch_size 64 needs 128 files"),
        ({"num_gpus": 3}, "--num_gpus 3: TensorFlow finds 0 GPUs on this machine"),
        ({"init_from": "none"}, "none: there is no such checkpoint"),
        ({"data_dir": (), "resume_from": "none"}, "none: there is no such checkpoint"),
        ({"seed": "none.wav"}, "--seed: none.wav is missing"),
        ({"config_file": "none"}, "--config_file none"),
    ]:
        (problem,) = (line for line in told(**flags) if line.startswith("problem"))
        assert problem.startswith(f"problem  {said}")
    (tmp_path / "logdir").mkdir()
    (tmp_path / "logdir" / "default").touch()
    assert "problem  --logdir_root logdir/default can't be written (Not a directory); choose another folder" in told()
    monkeypatch.setenv("TF_CONFIG", "{bad")
    assert told()[0].startswith("problem  TF_CONFIG: not valid JSON")


def test_a_checkpoint_of_another_network_is_a_problem(told, tmp_path):
    """One of another program's, too, that has no config beside it."""
    golden = ROOT / "tests" / "golden"
    for path in (golden / "gru").glob("model.ckpt-1.*"):
        shutil.copy(path, tmp_path)
    (tmp_path / "right.config.json").write_text((golden / "gru" / "model.config.json").read_text())
    (tmp_path / "two-tier.config.json").write_text(
        '{"seq_len": 64, "frame_sizes": [4], "dim": 16, "num_rnn_layers": 2}'
    )
    pytorchs = golden / "deepsound-2tier" / "ep1-it1"
    for checkpoint, config, said in [
        (tmp_path / "model.ckpt-1", "right", None),
        (tmp_path / "model.ckpt-1", "two-tier", "is of another network than the config: big_frame_rnn/"),
        (pytorchs, "right", 'is of a network of samplernn-pytorch; give a config whose network is "deepsound"'),
    ]:
        for flag in ("init_from", *(["resume_from"] if checkpoint != pytorchs else [])):
            flags = {flag: str(checkpoint), "config_file": f"{config}.config.json", "data_dir": ()}
            problems = [line for line in told(**flags) if line.startswith("problem")]
            assert len(problems) == (said is not None)
            assert all(problem.startswith(f"problem  {checkpoint} {said}") for problem in problems)


def test_all_problems_are_named_at_once(told, tmp_path, monkeypatch):
    """Each of these hid those after it, in an earlier version."""
    (tmp_path / "corpus" / "damaged.wav").write_text("no audio")
    (tmp_path / "bad.config.json").write_text('{"dimm": 1, "num_rnn_layers": 0}')
    soundfile.write(tmp_path / "seed.wav", np.zeros(10), 16000)
    monkeypatch.setenv("TF_CONFIG", "{bad")
    flags = {"num_gpus": 3, "resume_from": "none", "seed": "seed.wav"}
    lines = told(config_file="bad.config.json", **flags | {"seed": "none.wav"})
    starts = [
        "TF_CONFIG: not valid JSON", "--num_gpus 3: ", "none: there is no such checkpoint",
        "--config_file bad.config.json: unknown parameter 'dimm'; did you mean 'dim'?; num_rnn_layers is 0; ",
        f"--data_dir {tmp_path / 'corpus'}: remove or replace", "--seed: none.wav is missing",
    ]  # fmt: skip
    problems = [line.removeprefix("problem  ") for line in lines if line.startswith("problem")]
    assert len(problems) == len(starts)
    assert all(problem.startswith(start) for problem, start in zip(problems, starts)), problems
    lines = told(batch_size=64, strict=True, output_file_dur=2e5, **flags | {"resume_from": None})
    problems = [line.removeprefix("problem  ") for line in lines if line.startswith("problem")]
    starts[2:] = [
        f"--data_dir {tmp_path / 'corpus'}: remove or replace", f"--data_dir {tmp_path / 'corpus'}: --strict True",
        "--batch_size 64 needs 128 files", "--output_file_dur 200000.0: at 16000 Hz", "--seed seed.wav: 10 samples",
    ]  # fmt: skip
    assert len(problems) == len(starts)
    assert all(problem.startswith(start) for problem, start in zip(problems, starts)), problems


def test_a_corpus_of_midi_is_looked_at_as_midi_whatever_else_is_wrong(told, make_tunes, tmp_path):
    tunes = make_tunes([40, 70, 33], PianoRollConfig.tiny())
    (tmp_path / "rolls.config.json").write_text(json.dumps(config_to_dict(PianoRollConfig.tiny())))
    flags = {"data_dir": (str(tunes),), "config_file": "rolls.config.json", "seed": str(tunes / "tune_0.mid")}
    good = f"ok       --data_dir {tunes}: 2 files to train on, 1 to validate with"
    assert told(**flags) == [good, *ROOM]
    for more, said in [
        ({"init_from": "none"}, "none: there is no such"),
        ({"codes_from": "none"}, "--codes_from: none: "),
    ]:
        problem, *others = told(**flags, **more)
        assert problem.startswith(f"problem  {said}") and others == [good, *ROOM]
    (tunes / "damaged.mid").write_text("I am a text")
    remedy = "remove or replace what cannot be used, or leave it out by --skip_unusable True"
    assert told(**flags | {"seed": "none.mid"}) == [
        f"problem  --data_dir {tunes}: {remedy}: damaged.mid is not MIDI that can be read, or is damaged",
        good,
        "problem  --seed: none.mid is missing: there is no such file; name a .mid with notes in note_range",
        *ROOM,
    ]
    first, *_ = told(**flags | {"config_file": "tiny.config.json"})
    assert first.startswith(f"problem  --data_dir {tunes}: no WAV files, but 4 of other formats in it; ")
    assert first.endswith(", or, for MIDI, give a --config_file of a family for that")


def test_too_few_recordings_are_named_where_the_checkpoint_or_the_config_is_unknown(told):
    for flag in ("init_from", "config_file"):
        problems = [line for line in told(batch_size=64, **{flag: "none"}) if line.startswith("problem")]
        assert len(problems) == 2 and problems[1].startswith("problem  --batch_size 64 needs 128 files")


def test_every_folder_that_is_not_there_is_named(told):
    (problem,) = (line for line in told(data_dir=("none", "corpus", "nowhere")) if line.startswith("problem"))
    assert "--data_dir none: there is no such folder" in problem and "--data_dir nowhere: there is" in problem


def test_a_training_that_is_running_is_noted(told, tmp_path):
    run = tmp_path / "logdir" / "default" / "01.01.2026_00.00.00"
    run.mkdir(parents=True)
    with run_folders.held(run):
        assert told(logdir_root=str(tmp_path / "logdir"))[0].startswith(
            f"note     A training with --id default is running already, in {run};"
        )


def test_a_damaged_checkpoint_is_a_problem(told, tmp_path):
    shutil.copytree(ROOT / "tests" / "golden" / "gru", tmp_path / "gru")
    (index,) = (tmp_path / "gru").glob("*.index")
    checkpoint = index.with_suffix("")
    flags = {"config_file": str(tmp_path / "gru" / "model.config.json"), "data_dir": (), "init_from": str(checkpoint)}
    assert told(**flags)[0] == f"ok       to begin with: {checkpoint}"
    (data,) = (tmp_path / "gru").glob("*.data-*")
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    assert told(**flags)[0].startswith(f"problem  {checkpoint}: damaged, or not a checkpoint")


def test_flags_of_a_training_may_stand_beside_it(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py", "--batch_size", "8", "--check", "--logdir_root", "x"])
    assert cli.training_options() == CheckOptions(batch_size=8, logdir_root="x")


@pytest.mark.long
def test_the_check_as_a_process(make_corpus, tmp_path):
    corpus = make_corpus([2000] * 3)
    (corpus / "notes.txt").touch()
    command = [sys.executable, ROOT / "train.py", "--check", "--data_dir", corpus, "--batch_size", "1"]
    command += ["--config_file", ROOT / "default.config.json"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    *lines, last = result.stdout.splitlines()
    assert (result.returncode, result.stderr, last) == (0, "", "Everything needed is there."), result.stdout
    assert {line[:9] for line in lines} <= {"ok       ", "note     "}
    for said in (
        f"Python {sys.version.split()[0]}",
        f"tensorflow {tf.__version__}",
        f"--data_dir {corpus}: 2 files to train on, 1 to validate with, at 16000 Hz",
    ):
        assert f"ok       {said}" in lines
    assert "ok       a training step on the CPU" in lines and result.stdout.count("GPU") == 1
    assert {path.name for path in tmp_path.rglob("*")} == {"corpus", "notes.txt", CACHE} | {
        f"piece_{i}.wav" for i in range(3)
    }
