"""The scripts as a user meets them: exit status, one line on stderr, no TensorFlow before the flags are right."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest
import soundfile
from conftest import GOLDEN, ROOT, needs_small_disks

import chunk_audio
import generate
import train
from samplernn.commands import cli
from samplernn.generation.generate import generate_from_checkpoints
from samplernn.options.chunk_audio import ChunkOptions
from samplernn.options.generate import GenerationOptions
from samplernn.options.train import TrainingOptions
from samplernn.system.errors import InputError, RunError

SCRIPTS = ["train.py", "generate.py", "evaluate.py", "chunk_audio.py", "fetch_audio.py", "listen.py"]


def run(script, *arguments, **kwargs):
    command = [sys.executable, str(ROOT / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **kwargs)


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(("flag", "status"), [("--help", 0), ("--no_such_flag", 2)])
def test_flags_are_answered_without_importing_tensorflow(script, flag, status):
    result = run(script, flag, env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"})
    imported = [line.rsplit("|", 1)[1].strip() for line in result.stderr.splitlines() if "|" in line]
    assert result.returncode == status
    assert "samplernn.commands.cli" in imported
    assert not {"tensorflow", "keras"} & set(imported)


def parse(monkeypatch, parser, *arguments):
    monkeypatch.setattr(sys, "argv", ["script.py", *arguments])
    return parser()


def test_defaults_are_the_documented_ones(monkeypatch):
    assert parse(monkeypatch, cli.training_options, "--data_dir", "d") == TrainingOptions(data_dir=("d",))
    options = parse(monkeypatch, cli.generation_options, "--output_path", "o", "--checkpoint_path", "c")
    assert (options.dur, options.num_seqs, options.temperature, options.seed_offset) == (None, 1, (0.95,), 0)
    options = parse(monkeypatch, cli.chunk_options, "--input_file", "i", "--output_dir", "o")
    assert options == ChunkOptions(
        ("i",), "o", chunk_length=8000, overlap=0, sample_rate=None, mono=False, silence_thresh=-64, keep_tail=False
    )


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        ("--data_dir a:2 b", "data_dir", ("d", "a:2", "b")),
        ("--verbose false", "verbose", False),
        ("--skip_unusable True", "skip_unusable", True),
        ("--strict true", "strict", True),
        ("--resume FALSE", "resume", False),
        ("--generate True", "generate", True),
        ("--max_checkpoints none", "max_checkpoints", None),
        ("--early_stopping_patience None", "early_stopping_patience", None),
        ("--checkpoint_policy best", "checkpoint_policy", "Best"),
        ("--checkpoint_policy All", "checkpoint_policy", "Always"),
        ("--temperature 0.5 0.75 1", "temperature", (0.5, 0.75, 1.0)),
        ("--temperature 0.5 1@0,0.70@9.5", "temperature", (0.5, "1@0,0.7@9.5")),
        ("--output_file_dur 1.5", "output_file_dur", 1.5),
        ("--val_frac 0", "val_frac", 0.0),
        ("--resume_from None", "resume_from", None),
        ("--jit_compile auto", "jit_compile", None),
        ("--jit_compile false", "jit_compile", False),
        ("--precision mixed_float16", "precision", "mixed_float16"),
    ],
)
def test_flags_take_what_people_write(monkeypatch, arguments, name, value):
    options = parse(monkeypatch, cli.training_options, "--data_dir", "d", *arguments.split())
    assert getattr(options, name) == value


def test_the_flags_of_chunks_take_what_people_write(monkeypatch):
    given = "--input_file a b --output_dir o --sample_rate 16000 --mono --keep_tail True --silence_thresh -48.5"
    expected = ChunkOptions(("a", "b"), "o", sample_rate=16000, mono=True, silence_thresh=-48.5, keep_tail=True)
    assert parse(monkeypatch, cli.chunk_options, *given.split()) == expected
    options = parse(monkeypatch, *CHUNK, "--mono", "false", "--silence_thresh", "none", "--keep_tail")
    assert (options.mono, options.silence_thresh, options.keep_tail) == (False, None, True)


def test_the_deprecated_flag_is_remarked_on(monkeypatch, capsys):
    parse(monkeypatch, cli.training_options, "--data_dir", "d", "--num_val_batches", "1")
    assert capsys.readouterr().out == "--num_val_batches is deprecated and has no effect; use --val_frac.\n"


TRAIN = [cli.training_options, "--data_dir", "d"]
GENERATE = [cli.generation_options, "--output_path", "o", "--checkpoint_path", "c"]
CHUNK = [cli.chunk_options, "--input_file", "i", "--output_dir", "o"]


def test_wrong_values_and_missing_flags_are_named_at_once(monkeypatch):
    flags = ["--batch_size", "0", "--optimizer", "adamw", "--temperature", "1", "x", "--num_epochs", "2"]
    with pytest.raises(InputError) as raised:
        parse(monkeypatch, *TRAIN[:1], *flags)
    complaints = str(raised.value).split("; ")
    assert [text.partition(":")[0] for text in complaints] == [
        "argument --batch_size", "argument --optimizer", "argument --temperature",
        "the following arguments are required", "script.py --help lists the flags",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("script", "arguments", "said"),
    [
        (TRAIN, "--batch_size 0", "argument --batch_size: 0 is not a whole number from 1 up"),
        (TRAIN, "--batch_size 1.5", "--batch_size: 1.5 is not"),
        (TRAIN, "--learning_rate -0.1", "--learning_rate: -0.1 is not a number above 0"),
        (TRAIN, "--learning_rate nan", "--learning_rate: nan is not"),
        (TRAIN, "--learning_rate inf", "--learning_rate: inf is not"),
        (TRAIN, "--temperature 0", "--temperature: 0 is not a number from 0.000001 to 1000000, such as 0.95"),
        (TRAIN, "--temperature 0.5@5,0.7@5", "--temperature: 0.5@5,0.7@5 is no envelope such as 0.75@0,1.1@5: its"),
        (
            GENERATE,
            "--temperature 1 0.5@0,0@5",
            "--temperature: 0.5@0,0@5 is no envelope such as 0.75@0,1.1@5: 0 is not a number from 0.000001",
        ),
        (GENERATE, "--top_k 0", "--top_k: 0 is not a whole number from 1 up"),
        (GENERATE, "--top_p 0", "--top_p: 0 is not a number above 0, up to 1"),
        (GENERATE, "--top_p 1.01", "--top_p: 1.01 is not a number above 0, up to 1"),
        (GENERATE, "--seed s --seed_dur 0", "--seed_dur: 0 is not a number of seconds above 0"),
        (TRAIN, "--val_frac 1.5", "--val_frac: 1.5 is not a number from 0 to below 1"),
        (TRAIN, "--momentum 1", "--momentum: 1 is not"),
        (TRAIN, "--verbose maybe", "'maybe' is neither True nor False"),
        (TRAIN, "--checkpoint_policy Never", "'Never' is neither Always (or All) nor Best"),
        (TRAIN, "--optimizer adamw", "argument --optimizer: adamw is none of adam, sgd, rmsprop"),
        (TRAIN, "--max_checkpoints 0", "--max_checkpoints: 0 is not"),
        (TRAIN, "--id a/b", "'a/b' is not the name of one folder"),
        (TRAIN, "--id .codes", "'.codes' begins with a dot, as only hidden folders do"),
        (GENERATE, "--dur 0", "--dur: 0 is not a number of seconds above 0"),
        (GENERATE, "--dur 1e300", "--dur: 1e300 is not"),
        (TRAIN, "--random_seed 5000000000", "--random_seed: 5000000000 is not"),
        (GENERATE, "--num_seqs -1", "--num_seqs: -1 is not"),
        (GENERATE, "--seed_offset -1", "--seed_offset: -1 is not a whole number from 0 up"),
        (GENERATE, "--max_batch 0", "--max_batch: 0 is not a whole number from 1 up, nor auto"),
        (GENERATE, "--jit_compile maybe", "'maybe' is neither True nor False, nor auto"),
        (GENERATE, "--precision float64", "--precision: float64 is none of float32, "),
        (GENERATE, "--random_seed -1", "--random_seed: -1 is not a whole number from 0 up"),
        (GENERATE, "--sample_rate 0", "--sample_rate: 0 is not"),
        (CHUNK, "--chunk_length 0", "--chunk_length: 0 is not"),
        (CHUNK, "--overlap -1", "--overlap: -1 is not"),
        (CHUNK, "--silence_thresh 0", "--silence_thresh: 0 is not a number of dB below 0, such as -64"),
    ],
)
def test_each_wrong_value_is_one_line_and_status_2(monkeypatch, capsys, script, arguments, said):
    with pytest.raises(SystemExit) as exit_:
        cli.run(lambda: parse(monkeypatch, *script, *arguments.split()))
    error = capsys.readouterr().err
    assert exit_.value.code == 2
    assert said in error and error.startswith("Error: ") and error.count("\n") == 1


@pytest.mark.parametrize("flag", ["--seed_dur 2", "--include_seed"])
def test_what_is_about_the_seed_needs_one(monkeypatch, flag):
    with pytest.raises(InputError, match=f"{flag.split()[0]} is about the seed, and there is none; name it by --seed"):
        parse(monkeypatch, *GENERATE, *flag.split())
    assert parse(monkeypatch, *GENERATE, "--seed", "s", *flag.split()).seed == "s"


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("bad\nfile"), 2, "Error: bad file\n"),
        (RunError("disk is full"), 1, "Error: disk is full\n"),
        (
            ImportError("Numba needs NumPy 2.2 or less"),
            2,
            f"Error: a library cannot be imported (Numba needs NumPy 2.2 or less): {cli.INSTALL}\n",
        ),
        (OSError(28, "No space left on device", "x.wav"), 1, "Error: x.wav: No space left on device\n"),
        (KeyboardInterrupt(), 130, ""),
        (cli.Terminated(), 143, ""),
    ],
)
def test_each_end_has_its_exit_status(capsys, error, status, line):
    def main():
        raise error

    with pytest.raises(SystemExit) as exit_:
        cli.run(main)
    assert exit_.value.code == status
    assert capsys.readouterr().err == line


MISSING = "nowhere"


@pytest.mark.parametrize(
    ("main", "arguments", "said"),
    [
        (train.main, f"--data_dir {MISSING}", "there is no such folder"),
        (generate.main, f"--output_path o.wav --checkpoint_path {MISSING}", "there is no such checkpoint"),
        (chunk_audio.main, f"--input_file {MISSING} --output_dir out", "there is no such file"),
        (
            chunk_audio.main,
            f"--input_file {MISSING} --output_dir out --chunk_length 1000 --overlap 1000",
            "--overlap 1000 is not below --chunk_length 1000",
        ),
    ],
)
def test_bad_input_to_the_scripts_is_one_line(monkeypatch, tmp_path, capsys, main, arguments, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["script.py", *arguments.split()])
    with pytest.raises(SystemExit) as exit_:
        cli.run(main)
    error = capsys.readouterr().err
    assert exit_.value.code == 2
    assert said in error and error.startswith("Error: ") and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_empty_path_is_no_folder(monkeypatch):
    with pytest.raises(InputError, match="argument --output_dir: it is empty; name a file or a folder"):
        parse(monkeypatch, cli.chunk_options, "--input_file", "i", "--output_dir", "")


@pytest.mark.skipif(os.name == "nt", reason="a shell's redirection")
def test_a_closed_stderr_changes_no_status(tmp_path):
    script = f"'{sys.executable}' '{ROOT / 'chunk_audio.py'}' --input_file none --output_dir out 2>&-"
    assert subprocess.run(["/bin/sh", "-c", script], cwd=tmp_path, timeout=120).returncode == 2


def test_bad_input_to_a_process_is_one_line(tmp_path):
    result = run("train.py", "--data_dir", MISSING, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith(f"Error: --data_dir {MISSING}: there is no") and result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--data_dir d --lr 1", "there is no flag --lr, did you mean --learning_rate or --logdir_root?; "),
        (
            "--data-dir d --foo=1",
            "there is no flag --data-dir, did you mean --data_dir?; there is no flag --foo; ",
        ),
    ],
)
def test_flags_that_are_not_there_are_named_with_what_was_meant(monkeypatch, capsys, arguments, said):
    with pytest.raises(InputError) as refused:
        parse(monkeypatch, cli.training_options, *arguments.split())
    assert str(refused.value) == f"{said}script.py --help lists the flags"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            "--num_stages 3 --dmi 4",
            "there is no flag --num_stages, it is one of --model wavenet or vqvae or amae; there is no flag --dmi, did",
        ),
        ("--model wavenet --num_rnn_layers 3", "there is no flag --num_rnn_layers, it is one of --model samplernn;"),
    ],
)
def test_hyperparameters_of_another_family_are_told_as_such(monkeypatch, arguments, said):
    with pytest.raises(InputError, match=f"^{said}"):
        parse(monkeypatch, cli.keras_tuner_options, "--data_dir", "d", *arguments.split())


def test_flags_may_be_shortened_and_joined_to_their_values(monkeypatch):
    options = parse(monkeypatch, cli.training_options, "--data_dir", "d", "--learn=0.5", "--batch", "3")
    assert (options.learning_rate, options.batch_size) == (0.5, 3)


def test_generating_from_the_command_line(tmp_path):
    checkpoint = GOLDEN / "lstm-skip" / "model.ckpt-1"
    flags = ["--output_path", "a/b.wav", "--checkpoint_path", checkpoint, "--dur", "0.1"]
    result = run("generate.py", *flags, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert soundfile.info(tmp_path / "a" / "b_e=1_t=0.95.wav").frames == 1600


GENERATING = ["--checkpoint_path", GOLDEN / "gru" / "model.ckpt-1", "--sample_rate", "16000", "--random_seed", "3"]


@pytest.fixture(scope="module")
def a_second(tmp_path_factory):
    """A second of what GENERATING generates, as nothing ends it: int16 [samples]."""
    wav = str(tmp_path_factory.mktemp("whole") / "x.wav")
    given = {"checkpoint_path": (str(GENERATING[1]),), "sample_rate": 16000, "random_seed": 3, "dur": 1.0}
    (path,) = generate_from_checkpoints(GenerationOptions(output_path=wav, **given))
    return soundfile.read(path, dtype="int16")[0]


def begin_alike(one, other):
    both = min(len(one), len(other))
    return both >= 1024 and (one[:both] == other[:both]).all()


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_a_killed_generation_leaves_what_was_done(tmp_path, a_second):
    wav, *flags = tmp_path / "x_e=1_t=0.95.wav", *map(str, GENERATING)
    command = [sys.executable, ROOT / "generate.py", "--output_path", tmp_path / "x.wav", *flags, "--dur", "3600"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not (wav.exists() and wav.stat().st_size > 20000) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    assert begin_alike(soundfile.read(wav, dtype="int16")[0], a_second)
    said = json.loads(wav.with_suffix(".json").read_text())
    assert (said["samples"], said["complete"], said["random_seed"]) == (None, False, 3)


@pytest.mark.long
@needs_small_disks
def test_a_full_disk_leaves_what_was_written(tmp_path, a_second):
    """A disk of 200 kB; the second command finds it full."""
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    kept.mkdir()
    flags = ["--output_path", disk / "x.wav", *GENERATING, "--dur", "20"]
    generate = shlex.join(map(str, [sys.executable, ROOT / "generate.py", *flags]))
    d = shlex.quote(str(disk))
    script = f"mount -t tmpfs -o size=200k tmpfs {d} && {generate}; echo $?; {generate}; echo $?; cp {d}/* {d}/../kept"
    result = subprocess.run(["unshare", "-Urm", "sh", "-c", script], capture_output=True, text=True, timeout=240)
    assert re.findall(r"^\d$", result.stdout, re.MULTILINE) == ["1", "1"], result.stderr
    lines = result.stderr.splitlines()
    assert len(lines) == 2 and all(line.startswith(f"Error: {disk}/x_e=1_t=0.95") for line in lines)
    assert all(line.endswith("cannot be written (No space left on device); is the disk full?") for line in lines)
    assert sorted(path.name for path in kept.iterdir()) == ["x_e=1_t=0.95.json", "x_e=1_t=0.95.wav"]
    audio, _ = soundfile.read(kept / "x_e=1_t=0.95.wav", dtype="int16")
    assert begin_alike(audio, a_second) and len(audio) > 80000
    said = json.loads((kept / "x_e=1_t=0.95.json").read_text())
    assert said["complete"] is False and said["samples"] in (None, len(audio))


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signals to one process")
def test_ctrl_c_saves_though_whoever_reads_the_output_is_gone(tmp_path, make_corpus, tiny_config_file):
    """As in `python train.py … | tee log`, where Ctrl-C reaches tee too."""
    command = [sys.executable, ROOT / "train.py", "--data_dir", make_corpus([640] * 4), "--batch_size", "2"]
    flags = ["--config_file", tiny_config_file, "--num_epochs", "100000", "--early_stopping_patience", "None"]
    flags += ["--generate", "False", "--jit_compile", "False", "--checkpoint_every", "100000"]
    process = subprocess.Popen([*command, *flags], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        while b"Step: 3/" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        error = process.stderr.read()
        assert process.wait(timeout=60) == 130, error
    finally:
        process.kill()
    assert error == b""
    assert len(list(tmp_path.glob("logdir/default/*/resume.ckpt-*.index"))) == 1


@pytest.mark.long
@pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signals to one process")
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_training_with_a_hint(tmp_path, make_corpus, tiny_config_file, sent, status):
    command = [sys.executable, ROOT / "train.py", "--data_dir", make_corpus([64000] * 4), "--batch_size", "2"]
    flags = ["--config_file", tiny_config_file, "--num_epochs", "1000", "--early_stopping_patience", "None"]
    log = tmp_path / "log.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, *flags, "--generate", "False", "--jit_compile", "False"],
            cwd=tmp_path,
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("logdir/default/*/model.ckpt-1.index")) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(sent)
        assert process.wait(timeout=60) == status, log.read_text()
    finally:
        process.kill()
    assert re.search(r"train again with --resume_from logdir/default/.*/(resume|model)\.ckpt-\d+", log.read_text())
    assert "Traceback" not in log.read_text()
