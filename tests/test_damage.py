"""Thousands of damaged files: none ends in a traceback, a crash, a hang, or another exit status than 0 or 2.

`damage.py` makes them, `victim.py` meets them. A failure names its input, which is met again by
`python tests/victim.py FOLDER NAME`.
"""

import ast
import collections
import json
import os
import re
import selectors
import subprocess
import sys

import damage
import pytest
import victim
from conftest import ROOT

pytestmark = pytest.mark.skipif(
    os.name == "nt", reason="pipes as files, limits of memory and their figures are POSIX's"
)

SECONDS = 120  # for one input, on a machine that has other work: those that hang take for ever
MEMORY = 64  # MB that an input may take; with TensorFlow, which compiles when an input is good:
MEMORY_WITH_TENSORFLOW = 256
LONGEST_LINE = 1000
DEATHS = 3  # after which the rest is not tried: the next process takes seconds to start
EXECUTING = {"pickle", "cPickle", "dill", "marshal", "shelve", "yaml", "torch", "joblib", "cloudpickle"}

SHORT = {
    "without TensorFlow": damage.cases(chunk=150, ffmpeg=50, corpus=60, tunes=40),
    "with TensorFlow": [
        *damage.cases(config=4, settings=1, evaluate=1, torch=6, index=6, shard=1, state=1, name=3, special=8),
        *damage.cases(vqvae_config=1, vqvae_settings=1, vqvae_index=1, codes=8),
        *damage.cases(wavenet_config=2, wavenet_settings=1, wavenet_evaluate=1, wavenet_index=4, wavenet_shard=1),
        *damage.cases(
            pianoroll_config=1, pianoroll_settings=1, pianoroll_index=1, primer=3, npz=4, midi_special=3, paths=2
        ),
    ],
}
LONG = {
    "recordings": damage.cases(chunk=1500, ffmpeg=800, corpus=600),
    "samplernn": damage.cases(
        config=250, settings=40, evaluate=40, torch=80, resume=8, index=200, shard=40, state=12, name=40, special=40
    ),
    "wavenet": damage.cases(
        wavenet_config=15, wavenet_settings=5, wavenet_evaluate=5, wavenet_resume=3, wavenet_index=25, wavenet_shard=5
    ),
    "vqvae": damage.cases(
        vqvae_config=40, vqvae_settings=5, vqvae_evaluate=5, vqvae_resume=3, vqvae_index=15, vqvae_shard=5, codes=250
    ),
    "pianoroll": damage.cases(
        pianoroll_config=15, pianoroll_settings=8, pianoroll_evaluate=8, pianoroll_resume=3, pianoroll_index=15,
        pianoroll_shard=5,
    ),
    "tunes": damage.cases(tunes=1000),
    "what is made of tunes": damage.cases(learn=6, primer=40, npz=100, paths=25, midi_name=15, midi_special=15),
}  # fmt: skip


def meet_all(names, folder):
    """What became of the inputs of these names; one that ended its process is {"died": …}."""
    ends = []
    while len(ends) < len(names) and sum("died" in end for end in ends) < DEATHS:
        command = [sys.executable, str(ROOT / "tests" / "victim.py"), str(folder / "input"), *names[len(ends) :]]
        with (
            (folder / "log").open("w") as log,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as process,
        ):
            begun = None
            for line in lines_of(process):
                event = json.loads(line)
                begun = event.get("begins")
                if not begun:
                    ends.append(event)
        if begun:
            said = (folder / "input.stderr").read_text(errors="replace")[-500:]
            ends.append({"ended": begun, "died": f"{process.returncode} {said}"})
        elif len(ends) < len(names):
            pytest.fail(f"the harness failed: {(folder / 'log').read_text()}")
    return ends


def lines_of(process):
    """The lines of a process as they come; one that is silent for too long is killed."""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        rest = b""
        while selector.select(SECONDS):
            data = os.read(process.stdout.fileno(), 2**16)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            yield from lines
    process.kill()


def kind_of(end):
    return end["ended"].split("/")[0]


def faults(end):
    """What is wrong with the way in which an input ended."""
    if "died" in end:
        return [f"ended the process, or hung: {end['died']}"]
    status, said = end["status"], end["stderr"]
    found = []
    if status not in (0, 2):
        found.append(f"status {status}: {said[-300:]}")
    elif status == 2 and not re.fullmatch(rf"Error: .{{1,{LONGEST_LINE}}}\n", said):
        found.append(f"not one line: {said[:300]!r}")
    elif status == 0 and said:
        found.append(f"on stderr: {said[:300]!r}")
    if end["peak"] > (MEMORY if kind_of(end) in damage.WITHOUT_TENSORFLOW else MEMORY_WITH_TENSORFLOW):
        found.append(f"{end['peak']:.0f} MB of memory")
    return found + [f"did {event}" for event in end["seen"]] + [f"harmed {name}" for name in end["harm"]]


def check(names, folder):
    ends = meet_all(names, folder)
    counts = collections.Counter((kind_of(end), end.get("status", "died")) for end in ends)
    for kind in dict.fromkeys(map(kind_of, ends)):
        peak = max(end.get("peak", 0) for end in ends if kind_of(end) == kind)
        print(f"{kind}: {counts[kind, 0]} ended 0, {counts[kind, 2]} ended 2; at most {peak:.0f} MB more memory")
    failures = [f"{end['ended']}: {fault}" for end in ends for fault in faults(end)]
    assert not failures, "\n".join([f"{len(failures)} faults, the first of them:", *failures[:20]])
    assert [end["ended"] for end in ends] == names
    assert {status for _, status in counts} == {0, 2}  # the machine makes what is harmless too, and is not harmless


@pytest.mark.parametrize("group", SHORT)
def test_damaged_input_is_refused_in_one_line_or_used(group, tmp_path):
    check(SHORT[group], tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("group", LONG)
def test_thousands_of_damaged_inputs_are_refused_in_one_line_or_used(group, tmp_path):
    check(LONG[group], tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        *damage.cases(chunk=5),
        *(pytest.param(name, marks=pytest.mark.long) for name in damage.cases(config=2, index=3, wavenet_index=2)),
    ],
)
def test_the_scripts_end_as_the_harness_says(name, tmp_path):
    (end,) = meet_all([name], tmp_path)
    case, folder = damage.case(name), tmp_path / "anew"
    folder.mkdir()
    victim.lay_out(case.files, folder)
    script, *arguments = case.command
    command = [sys.executable, str(ROOT / f"{script}.py"), *arguments]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS)
    assert (result.returncode, result.stderr) == (end["status"], end["stderr"])


@pytest.mark.parametrize("kind", damage.KINDS)
def test_the_same_name_makes_the_same_damage(kind):
    names = damage.cases(**{kind: 20})
    assert list(map(damage.case, names)) == list(map(damage.case, names))
    assert len({str(damage.case(name).files) for name in names}) > 5


def good_end(**changes):
    return {"ended": "chunk/1", "status": 2, "stderr": "Error: no\n", "peak": 1, "seen": [], "harm": [], **changes}


@pytest.mark.parametrize(
    "change",
    [
        {"status": 1},
        {"status": "traceback"},
        {"status": 0},
        {"stderr": ""},
        {"stderr": "Error: a\nb\n"},
        {"stderr": "Note\nError: a\n"},
        {"stderr": f"Error: {'a' * 2000}\n"},
        {"peak": 5000},
        {"seen": ["pickle.find_class os.system"]},
        {"harm": ["x.wav"]},
        {"died": "-6"},
    ],
)
def test_each_fault_would_be_seen(change):
    assert not faults(good_end())
    assert faults(good_end(**change))


def test_the_watch_sees_what_is_executed_opened_and_changed(tmp_path):
    watch = [sys.executable, "-c", WATCHED, str(ROOT / "tests"), str(tmp_path)]
    seen = json.loads(subprocess.run(watch, capture_output=True, text=True, check=True).stdout)
    assert [event.split()[0] for event in seen] == ["pickle.find_class", "os.system", "open", "os.remove", "exec"]


WATCHED = """
import json, os, pickle, sys
sys.path.insert(0, sys.argv[1])
import victim
watch, folder = victim.Watch(), sys.argv[2]
bait = folder + ".bait"
open(bait, "w").close()
code = compile("1", "/hostile/code.py", "exec")
watch.folder = folder
pickle.loads(b"cos\\ngetcwd\\n.")
os.system("true")
open(bait).close()
os.remove(bait)
exec(code)
open(os.path.join(folder, "inside"), "w").close()
watch.folder = None
print(json.dumps(watch.seen))
"""


def test_the_program_has_no_means_to_execute_what_it_reads():
    for path in [*ROOT.glob("*.py"), *(ROOT / "samplernn").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', '')}"
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
                assert not EXECUTING & {name.split(".")[0] for name in names}, where
            elif isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("eval", "exec", "compile", "__import__", "os.system", "os.popen"), where
                assert not called.endswith(("load_model", "saved_model.load", "import_meta_graph", "from_config")), (
                    where
                )
                assert called not in ("np.load", "numpy.load"), where
