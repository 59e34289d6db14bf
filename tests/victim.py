"""Meets damaged inputs one after the other, in one process: python victim.py FOLDER KIND/NUMBER…

TensorFlow takes seconds to start, so that thousands of inputs cannot have a process each. Here they meet what the
scripts call, by way of `cli.run`. A line of JSON on stdout says that an input begins, another how it ended.
"""

import contextlib
import json
import os
import resource
import shutil
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import damage  # noqa: E402
import matplotlib.font_manager  # noqa: E402, F401 - which keeps a list of fonts in a cache of its own

import samplernn.audio.chunking  # noqa: E402, F401 - as it is imported, soxr compiles code of its own
from samplernn.commands import cli  # noqa: E402
from samplernn.corpus.scan import CACHE  # noqa: E402

STEPS = {"dt": {}, "steps_per_beat": {"steps_per_beat": 96, "note_range": (60, 72)}}
ADDRESS_SPACE = 2**30  # what an input may have beyond what the process has, where TensorFlow is not there
# Not marshal.loads, by which Python imports: the test of the program's own code forbids that module.
EXECUTES = {
    "pickle.find_class", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn",
    "os.fork", "os.forkpty", "os.startfile", "socket.connect", "socket.bind", "socket.getaddrinfo", "urllib.Request",
    "ctypes.dlopen", "webbrowser.open",
}  # fmt: skip
CHANGES = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "shutil.rmtree"}


class Watch:
    """An audit hook that notes what no input may cause; a hook cannot be taken off, so it is switched."""

    def __init__(self):
        self.folder, self.seen = None, []
        # What Python and the libraries read of their own accord.
        self._libraries = tuple({str(Path(path).resolve()) for path in (sys.prefix, sys.base_prefix, ROOT)})
        sys.addaudithook(self._hook)

    def _hook(self, event, arguments):
        if self.folder is None:
            return
        if event in EXECUTES:
            self.seen.append(f"{event} {str(arguments)[:200]}")
        elif event in ("exec", "compile"):
            self._check_code(event, arguments)
        elif event == "open":
            self._check_path(event, arguments[0], changes=bool(arguments[2] & (os.O_WRONLY | os.O_RDWR)))
        elif event in CHANGES:
            for path in arguments[: 2 if event in ("os.rename", "os.link") else 1]:
                self._check_path(event, path, changes=True)

    def _check_code(self, event, arguments):
        where = arguments[0].co_filename if event == "exec" else arguments[1]
        if isinstance(where, bytes):
            where = os.fsdecode(where)
        # Nothing is compiled by ast.parse, by which traceback points at the place in a line, nor where PyAV notes the
        # place of an error in its own sources.
        if event == "compile" and (where == "<unknown>" or where.startswith("av/")):
            return
        if not str(where).startswith((*self._libraries, "<frozen", "<__array_function__", "<string>")):
            self.seen.append(f"{event} {where}")

    def _check_path(self, event, path, changes):
        if isinstance(path, int):
            return
        path = Path(os.path.abspath(os.fsdecode(path)))
        allowed = (self.folder,) if changes else (self.folder, "/proc", "/sys", *self._libraries)
        if str(path) != os.devnull and not any(path.is_relative_to(folder) for folder in allowed):
            self.seen.append(f"{event} {path}")


def load(folder, rolls=None):
    """What train.py does with its corpus: examine, split, and read every window of an epoch.

    `rolls` is that by which the steps of MIDI files go; None for audio.
    """
    from samplernn.corpus.corpus import accepted
    from samplernn.corpus.data import data_of
    from samplernn.corpus.split import split_corpus
    from samplernn.corpus.windows import batches, plan_training, plan_validation
    from samplernn.models.pianoroll.config import PianoRollConfig
    from samplernn.models.samplernn.config import SampleRNNConfig

    of_audio = SampleRNNConfig(seq_len=128, frame_sizes=(4, 16))
    config = PianoRollConfig(seq_len=128, **STEPS[rolls]) if rolls else of_audio
    corpus = accepted(data_of(config).examine((folder,)))
    split = split_corpus(corpus.recordings, *((1, 1) if config.every_item_counts else (config.seq_len, 2)), 0.1)
    of_training = plan_training(split.training, config, 2, 0, 0)
    partial = config.every_item_counts
    for rows, number in (of_training, plan_validation(split.validation, config.seq_len, 2, partial)):
        for _ in batches(rows, config, range(number), partial):
            pass


def main_of(script, arguments):
    if script == "load":
        return lambda: load(*arguments)
    return __import__(script).main


def lay_out(files, folder):
    """Write a case's files; `damage.FIFO` and the like are made of what they name."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is damage.FIFO:
            os.mkfifo(path)
        elif content is damage.FOLDER:
            path.mkdir()
        elif isinstance(content, damage.Link):
            path.symlink_to(content.target)
        else:
            path.write_bytes(content)


def harm_done(case, folder, status):
    """What an input did to the files: a good one that has changed, or something half-written that stays."""
    harm = [
        name
        for name, content in case.files.items()
        if isinstance(content, bytes) and not unchanged(folder / name, content)
    ]
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    new = {name for name in there - set(case.files) if Path(name).name != CACHE}
    outside = [name for name in new if not name.startswith("out/")]
    half = [name for name in new if status or name.endswith(".part")]
    return sorted(harm + outside + half)


def unchanged(path, content):
    return path.is_file() and path.read_bytes() == content


@contextlib.contextmanager
def streams_in(folder):
    """What is written to stdout and stderr, by Python or by a library, goes to files."""
    sys.stdout.flush()
    kept = {number: os.dup(number) for number in (1, 2)}
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(f"{folder}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, copy in kept.items():
            os.dup2(copy, number)
            os.close(copy)


def memory(name):
    """A figure of this process's memory, in MB; 0 where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
    return 0


def meet(case, folder, watch):
    """Run a case's command in a folder of its files, and say how it ended."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lay_out(case.files, folder)
    script, *arguments = case.command
    main = main_of(script, arguments)
    sys.argv = [f"{script}.py", *arguments]
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = memory("VmRSS")
    os.chdir(folder)
    with streams_in(folder):
        watch.folder = str(folder)
        status = status_of(main)
        watch.folder = None
    os.chdir(ROOT)
    seen, watch.seen = watch.seen, []
    return {
        "status": status,
        "stderr": Path(f"{folder}.stderr").read_text(errors="replace"),
        "peak": memory("VmHWM") - before,
        "seen": seen,
        "harm": harm_done(case, folder, status),
    }


def status_of(main):
    try:
        cli.run(main)
    except SystemExit as end:
        return end.code or 0
    except BaseException:
        traceback.print_exc()
        return "traceback"
    return 0


def main(folder, *names):
    folder = Path(folder).resolve()
    os.environ["PATH"] = ""  # no program is found that would play MIDI, and so none is to be started
    good = damage.Case("good", damage.GENERATE, damage.good_checkpoint())
    watch = Watch()
    if all(name.startswith(damage.WITHOUT_TENSORFLOW) for name in names):
        good = damage.Case("good", ["load", "c"], damage.good_corpus())
        limit = int(memory("VmSize") * 2**20) + ADDRESS_SPACE
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    said = os.fdopen(os.dup(1), "w", buffering=1)
    ended = meet(good, folder, watch)  # and so all is imported
    assert (ended["status"], ended["stderr"]) == (0, ""), ended
    for name in names:
        said.write(json.dumps({"begins": name}) + "\n")
        said.write(json.dumps({"ended": name, **meet(damage.case(name), folder, watch)}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
