"""Several devices, and several processes on one machine, against one device."""

import json
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import GOLDEN, ROOT, TINY, write_tunes
from trainings import epochs_saved

from samplernn.checkpoints import run_folders
from samplernn.models import registry
from samplernn.system.distribution import Worker, check_batch_size, choose_strategy, this_worker
from samplernn.system.errors import InputError

BATCH_SIZE = 4
# Rows run out one after the other, also in validation, whose files are these: 0, 1, 4 and 10.
LENGTHS = [900, 300, 900, 520, 640, 900, 400, 300, 640, 1300, 400, 640]
STEPS = [40, 3, 70, 33, 17, 64, 90, 5, 20, 16, 31, 7]  # of tunes, of which every one is a target


def tiny(family, **changes):
    """The JSON of a family's tiny config, with some parameters changed."""
    return registry.config_to_dict(replace(registry.FAMILIES[family].config.tiny(), **changes))


CASES = {
    "gru-adam": ({}, {"jit_compile": False, "polyak_decay": 0.9}),
    "lstm-sgd": (
        {**json.loads((GOLDEN / "lstm-skip" / "model.config.json").read_text()), "rnn_dropout": 0.3},
        {
            "optimizer": "sgd",
            "learning_rate": 1.0,
            "jit_compile": False,
            "init_from": str(GOLDEN / "lstm-skip" / "model.ckpt-1"),
        },
    ),
    "deepsound": (
        {
            "network": "deepsound",
            "frame_sizes": [16],
            "q_levels": 32,
            "weight_norm": True,
            "learned_initial_state": True,
        },
        {"optimizer": "sgd", "jit_compile": False, "learning_rate": 0.1},
    ),
    "toy": ({"model": "toy", "seq_len": 64}, {"optimizer": "rmsprop", "learning_rate": 0.01, "jit_compile": False}),
    "wavenet": (tiny("wavenet"), {"jit_compile": False, "learning_rate": 0.01, "polyak_decay": 0.9}),
    "wavenet-dropout": (
        tiny("wavenet", filter_length=3, dropout=0.3),
        {"optimizer": "sgd", "jit_compile": False, "learning_rate": 1.0},
    ),
    "vqvae": (tiny("vqvae", restart_after=2), {"jit_compile": False, "learning_rate": 0.01, "polyak_decay": 0.9}),
    "amae": (tiny("amae"), {"optimizer": "sgd", "jit_compile": False, "learning_rate": 0.3}),
    "pianoroll": (
        tiny("pianoroll", dropout=0.2, transpose=2, passes_per_batch=2, l1=1e-4),
        {"optimizer": "sgd", "jit_compile": False, "learning_rate": 0.1},
    ),
    "resumed": (
        json.loads((GOLDEN / "optimizers" / "model.config.json").read_text()),
        {
            "resume_from": str(GOLDEN / "optimizers" / "model.ckpt-4"),  # slots included
            "num_epochs": 5,
            "batch_size": 6,  # so many files are trained on, and so many validate
            "jit_compile": False,
        },
    ),
    "xla": ({"seq_len": 32}, {"num_epochs": 1}),  # which compiles what each replica does by itself
}
CLIP_NORMS = {"lstm-sgd": 0.05}  # clips every step; 5.0, of all others, none or every one


def cluster(size):
    """The TF_CONFIG of each worker of a cluster on this machine."""
    sockets = [socket.socket() for _ in range(size)]
    for free in sockets:
        free.bind(("localhost", 0))
    addresses = [f"localhost:{free.getsockname()[1]}" for free in sockets]
    for free in sockets:
        free.close()
    return [json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": i}}) for i in range(size)]


class Process:
    """train_recorded.py at work in a folder of its own."""

    started = []

    def __init__(self, folder, runs, devices=1, tf_config="{}"):
        self.folder = folder
        self._record = folder / "record.pickle"
        folder.mkdir(parents=True)
        settings = folder / "settings.json"
        settings.write_text(json.dumps({"devices": devices, "runs": runs, "record": str(self._record)}))
        command = [sys.executable, str(ROOT / "tests" / "train_recorded.py"), str(settings)]
        with open(folder / "out", "w") as out, open(folder / "err", "w") as err:
            env = {**os.environ, "TF_CONFIG": tf_config}
            self.process = subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=err)
        self.started.append(self.process)

    @property
    def out(self):
        return (self.folder / "out").read_text()

    @property
    def errors(self):
        """Lines on stderr but for TensorFlow's own, which train.py silences or does not cause."""
        lines = (self.folder / "err").read_text().splitlines()
        return [line for line in lines if not line.startswith(("WARNING:", "I0000", "E0000"))]

    def end(self):
        return self.process.wait(timeout=600)

    def records(self):
        assert self.end() == 0, self.errors
        return pickle.loads(self._record.read_bytes())


@pytest.fixture(scope="module")
def work(tmp_path_factory, music):
    """A folder with a corpus of unequal files; at the end, the end of all processes."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "corpus").mkdir()
    for i, length in enumerate(LENGTHS):
        soundfile.write(folder / "corpus" / f"piece_{i}.wav", music[i * 1000 : i * 1000 + length], 16000)
    write_tunes(folder / "tunes", STEPS, registry.FAMILIES["pianoroll"].config.tiny())
    for name, (config, _) in CASES.items():
        (folder / f"{name}.config.json").write_text(json.dumps(config if "model" in config else {**TINY, **config}))
    yield folder
    for process in Process.started:
        process.kill()


def run(work, case, **options):
    """A run for train_recorded.py; its output goes to the folder that the process is in."""
    config, of_case = CASES[case]
    corpus = "tunes" if config.get("model") == "pianoroll" else "corpus"
    return {
        "clip_norm": CLIP_NORMS.get(case, 5.0),
        "options": {
            "data_dir": [str(work / corpus)],
            "id": case,
            "config_file": str(work / f"{case}.config.json"),
            "num_epochs": 2,
            "batch_size": BATCH_SIZE,
            "val_frac": 0.3,
            "generate": False,
            **of_case,
            **options,
        },
    }


@pytest.fixture(scope="module")
def processes(work):
    """The same runs on one device, on two devices of one process, and in two processes, which do without XLA."""
    runs = {case: run(work, case) for case in CASES}
    found = {
        "one": Process(work / "one", list(runs.values())),
        "two": Process(work / "two", list(runs.values()), devices=2),
    }
    for process in found.values():  # four at a time would have half a core each
        process.end()
    configs, without_xla = cluster(2), [runs[case] for case in CASES if case != "xla"]
    return found | {
        "chief": Process(work / "chief", without_xla, tf_config=configs[0]),
        "other": Process(work / "other", without_xla, tf_config=configs[1]),
    }


# Where a query lies as near to one code as to another, rounding says which it is: of what is held out, one may differ.
NEAR_TIES = {("vqvae", "val_loss"): 1e-3, ("vqvae", "val_perplexity"): 0.05}


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.parametrize(
    ("case", "name"),
    [(case, name) for case in CASES for name in (("two",) if case == "xla" else ("two", "chief", "other"))],
)
def test_losses_and_weights_are_those_of_one_device(processes, name, case):
    index = list(CASES).index(case)
    expected, found = (processes[which].records()[index] for which in ("one", name))
    assert len(expected["losses"]) >= 4
    np.testing.assert_allclose(found["losses"], expected["losses"], atol=1e-5)
    for theirs, ours in zip(expected["logs"], found["logs"]):
        assert ours.keys() == theirs.keys()
        for measure, value in theirs.items():
            assert ours[measure] == pytest.approx(value, abs=NEAR_TIES.get((case, measure), 1e-5)), measure
    assert expected["weights"].keys() == found["weights"].keys()
    for path, value in expected["weights"].items():
        np.testing.assert_allclose(found["weights"][path], value, atol=1e-5, err_msg=path)


STEP_WITH_FEW_TARGETS = """
import numpy as np, tensorflow as tf
from toy import Toy, ToyConfig
from samplernn.models.optimizer import make_optimizer
from samplernn.system.distribution import hand_out
from samplernn.training.steps import initial_state, train_step

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
x = np.random.default_rng(0).integers(0, 8, [4, 25]).astype(np.int32)
y = x[:, 1:].copy()
y[1, 5:] = y[2, :] = y[3, LAST:] = -1
results = []
for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
    with strategy.scope():
        model = Toy(ToyConfig.tiny())
        for number, variable in enumerate(model.trainable_variables):
            variable.assign(tf.random.stateless_normal(variable.shape, [number, 0]))
        model.compile(optimizer=make_optimizer("sgd", 0.5, 0.0, model), jit_compile=False)
    model.dropout_seed.state.assign([0, 0])
    batch = hand_out(strategy, (x, y, np.zeros(4, bool)))
    _, norm, _ = train_step(model)(*batch, initial_state(model, 4))
    results.append([float(norm), *(variable.numpy() for variable in model.trainable_variables)])
for one, two in zip(*results):
    np.testing.assert_allclose(two, one, atol=1e-6)
"""


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.parametrize("last", [24, 3, 0])
def test_replicas_count_by_their_targets_of_which_they_may_have_none(last):
    """Of the second replica's rows one has no target, and the other the first `last`; the loss is exchanged too."""
    script = STEP_WITH_FEW_TARGETS.replace("LAST", str(last))
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    result = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stderr[-2000:]


@pytest.mark.long
@pytest.mark.alone
def test_learning_shows_in_the_losses(processes):
    """So that equal losses mean equal steps."""
    records = dict(zip(CASES, processes["one"].records()))
    learning = ["gru-adam", "lstm-sgd", "wavenet", "wavenet-dropout", "vqvae", "amae", "pianoroll"]
    for record in map(records.get, learning):
        assert record["losses"][-1] < record["losses"][0] - 1e-3


@pytest.mark.long
@pytest.mark.alone
def test_only_the_chief_prints_and_writes(processes):
    for process in processes.values():
        process.records()
    runs = list(processes["chief"].folder.glob("logdir/gru-adam/*"))
    assert [epochs_saved(folder) for folder in runs] == [[1, 2]]
    assert "Epoch: 2/2" in processes["chief"].out
    written = {path.name for path in processes["other"].folder.iterdir()}
    assert written == {"settings.json", "record.pickle", "out", "err"}
    lines = processes["other"].out.splitlines()
    assert lines[0] == "Worker 2 of 2: waiting for the others."
    assert set(lines[1:]) == {"Worker 2 of 2: 1 of 2 devices; the first prints and saves."}
    assert not processes["chief"].errors and not processes["other"].errors
    told = "".join(process.out + (process.folder / "err").read_text() for process in processes.values())
    assert "retracing" not in told and "eagerly" not in told


@pytest.mark.long
@pytest.mark.alone
def test_every_worker_reads_its_own_files(processes):
    """A file a row, so that none is read by both."""
    first, second = (processes[name].records()[-1]["files"] for name in ("chief", "other"))
    assert len(first) == len(second) == 6 and not first & second


def endless(work, logdir):
    options = {"num_epochs": 10**6, "early_stopping_patience": None, "jit_compile": False}
    return [run(work, "gru-adam", logdir_root=str(logdir), **options)]


@pytest.mark.long
@pytest.mark.alone
def test_a_worker_that_dies_stops_the_others_and_another_number_goes_on(work):
    runs = endless(work, work / "shared")
    workers = [Process(work / f"dying_{i}", runs, tf_config=config) for i, config in enumerate(cluster(2))]
    wait_for("Epoch: 2/", workers[0])
    workers[0].process.kill()
    died = time.monotonic()
    assert workers[1].end() == 1
    assert time.monotonic() - died < 60
    (error,) = workers[1].errors
    assert error.startswith("Error: Another worker has stopped, or cannot be reached")
    checkpoint = error.rpartition("train again with --resume_from ")[2]
    done = int(checkpoint.rpartition("-")[2])
    assert done >= 1 and checkpoint.startswith(str(work / "shared"))

    runs = [run(work, "gru-adam", resume_from=checkpoint, num_epochs=done + 1, jit_compile=False)]
    two = Process(work / "devices", runs, devices=2)
    assert len(two.records()[0]["logs"]) == 1
    (index,) = two.folder.glob("logdir/gru-adam/*/*.index")
    assert index.name == f"model.ckpt-{done + 1}.index"


def wait_for(text, process):
    deadline = time.monotonic() + 240
    while text not in process.out:
        assert process.process.poll() is None and time.monotonic() < deadline, process.errors
        time.sleep(0.1)


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.parametrize(("victim", "sent"), [(1, signal.SIGKILL), (0, signal.SIGSTOP), (1, signal.SIGSTOP)])
def test_whoever_ends_without_a_word_the_other_stops(work, tmp_path, victim, sent):
    runs = endless(work, tmp_path / "logdir")
    workers = [Process(tmp_path / str(i), runs, tf_config=config) for i, config in enumerate(cluster(2))]
    wait_for("Epoch: 2/", workers[0])
    workers[victim].process.send_signal(sent)
    stopped = time.monotonic()
    try:
        assert workers[1 - victim].end() == 1
        assert time.monotonic() - stopped < 60
        (error,) = workers[1 - victim].errors
        assert error.startswith("Error: Another worker has stopped") and "train again with --resume_from" in error
    finally:
        workers[victim].process.kill()


@pytest.mark.long
@pytest.mark.alone
@pytest.mark.parametrize(("victim", "sent", "status"), [(0, signal.SIGINT, 130), (1, signal.SIGTERM, 143)])
def test_whoever_is_asked_to_stop_all_stop_after_the_same_step(work, tmp_path, victim, sent, status):
    runs = endless(work, tmp_path / "logdir")
    workers = [Process(tmp_path / str(i), runs, tf_config=config) for i, config in enumerate(cluster(2))]
    wait_for("Epoch: 2/", workers[0])
    workers[victim].process.send_signal(sent)
    assert [worker.end() for worker in workers] == [status, status]
    said = re.search(r"To go on .*, train again with --resume_from (.*)", workers[0].out)
    alone = [run(work, "gru-adam", resume_from=said[1], num_epochs=run_folders.epoch_of(Path(said[1])) + 1)]
    process = Process(tmp_path / "alone", alone)
    assert len(process.records()[0]["logs"]) == 1 and f"Resuming from {said[1]}" in process.out


@pytest.mark.long
@pytest.mark.alone
def test_workers_with_different_flags_are_told_which(work, tmp_path):
    runs = [[run(work, "gru-adam", learning_rate=rate)] for rate in (0.1, 0.2)]
    workers = [Process(tmp_path / str(i), runs[i], tf_config=config) for i, config in enumerate(cluster(2))]
    for worker in workers:
        assert worker.end() == 2
        (error,) = worker.errors
        assert "The workers differ in --learning_rate: give all of them the same flags" in error
    assert not list(tmp_path.glob("0/logdir/*"))


@pytest.mark.parametrize(
    ("size", "replicas", "nearest"), [(63, 2, "62 or 64"), (5, 4, "4 or 8"), (3, 8, "8"), (10, 3, "9 or 12")]
)
def test_a_batch_that_cannot_be_split_evenly_names_one_that_can(size, replicas, nearest):
    with pytest.raises(InputError, match=f"--batch_size {size} cannot .* {replicas} .*--batch_size {nearest} would do"):
        check_batch_size(size, replicas)
    check_batch_size(replicas * 3, replicas)


CLUSTER = {"worker": ["a:1", "b:1"]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a JSON object"),
        ({"cluster": CLUSTER}, "the task is missing"),
        ({"cluster": CLUSTER, "task": {"type": "worker"}}, "the task is missing"),
        ({"cluster": CLUSTER, "task": {"type": "worker", "index": 2}}, "index is 2, and the cluster's worker goes .*1"),
        ({"cluster": CLUSTER, "task": {"type": "worker", "index": "0"}}, "index is '0'"),
        ({"cluster": CLUSTER, "task": {"type": "chief", "index": 0}}, "type is 'chief', and the cluster has worker"),
        ({"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}, "worker is not a list of addresses"),
        ({"cluster": {"worker": ["a"]}, "task": {"type": "worker", "index": 0}}, "worker is not a list of addresses"),
        ({"cluster": {**CLUSTER, "ps": ["c:1"]}, "task": {"type": "worker", "index": 0}}, "has a job 'ps'"),
        ({"cluster": {**CLUSTER, "chief": ["c:1", "d:1"]}, "task": {"type": "chief", "index": 0}}, "has 2 chiefs"),
    ],
)
def test_misuse_of_tf_config_is_one_line(monkeypatch, content, said):
    monkeypatch.setenv("TF_CONFIG", content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(InputError, match=f"^TF_CONFIG: .*{said}.*for instance, "):
        this_worker()


@pytest.mark.parametrize(
    ("cluster", "task", "worker"),
    [
        (CLUSTER, ("worker", 0), Worker(0, 2)),
        (CLUSTER, ("worker", 1), Worker(1, 2)),
        ({**CLUSTER, "chief": ["c:1"]}, ("chief", 0), Worker(0, 3)),
        ({**CLUSTER, "chief": ["c:1"]}, ("worker", 0), Worker(1, 3)),
        ({}, ("worker", 0), Worker(0, 1)),
    ],
)
def test_tf_config_says_who_is_the_chief(monkeypatch, cluster, task, worker):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": cluster, "task": dict(zip(("type", "index"), task))}))
    assert this_worker() == worker
    assert this_worker().is_chief == (worker.index == 0)


def test_more_gpus_than_there_are_is_refused():
    with pytest.raises(InputError, match="--num_gpus 2: TensorFlow finds 0 GPUs .* leave the flag out"):
        choose_strategy(Worker(), 2)
