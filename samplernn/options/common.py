"""Options that several commands have, and the values that are theirs by default."""

from __future__ import annotations

from dataclasses import MISSING, dataclass
from pathlib import Path

from samplernn.options.option import option
from samplernn.options.values import BOOLEAN, FRACTION, PATH, TEMPERATURE, automatic, one_of, optional, several, whole

HELD_OUT = ("files", "recordings", "time")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
SCRIPTS = Path(__file__).resolve().parents[2]  # the folder of train.py, generate.py and the others
DEFAULT_CONFIG_FILE = "./default.config.json"
DEFAULT_SAMPLE_RATE = 16000  # Hz
DEFAULT_TEMPERATURE = 0.95


@dataclass(frozen=True, kw_only=True)
class ComputationOptions:
    """How a network is computed, which every command that runs one lets the user choose."""

    precision: str = option(
        "float32",
        one_of(*PRECISIONS),
        "what is computed in; weights and checkpoints are float32 in any case, and on a CPU the mixed ones are slower",
    )
    jit_compile: bool | None = option(
        None,
        automatic(BOOLEAN),
        "compile with XLA; auto: where it is faster, on a CPU always, on a GPU for generation only",
    )


@dataclass(frozen=True, kw_only=True)
class CorpusOptions:
    """What a network is trained on and validated with."""

    data_dir: tuple[str, ...] = option(
        MISSING,
        several(PATH),
        "folder with the training corpus, WAV files, or several; folder:2 is heard twice as often, folder:0.5 half",
        repeatable=True,
    )
    val_frac: float = option(
        0.1, FRACTION, "fraction of the files held out for validation, rounded to whole batches, at least one"
    )
    hold_out: str = option(
        "files",
        one_of(*HELD_OUT),
        "what is held out: single files, recordings with all their chunks, known by the name before _chunk_1.wav, or a"
        " stretch of the time of each recording, with which nothing that is trained on has a sample in common",
    )


@dataclass(frozen=True, kw_only=True)
class SoundOptions:
    """What generated audio begins from, and how freely it goes on."""

    temperature: tuple[float | str, ...] = option(
        (DEFAULT_TEMPERATURE,),
        several(TEMPERATURE),
        "sampling temperature, or its envelope over time, such as 0.75@0,1.1@5; one for all files or one for each",
    )
    seed: str | None = option(None, optional(PATH), "audio or MIDI file to begin from; audio is resampled if need be")
    seed_offset: int = option(0, whole(0), "where in the seed to begin, in its samples; in MIDI in steps")
