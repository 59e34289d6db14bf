"""What a user of generate.py may set."""

from __future__ import annotations

from dataclasses import MISSING, dataclass

from samplernn.options.common import DEFAULT_SAMPLE_RATE, DEFAULT_TEMPERATURE, ComputationOptions, SoundOptions
from samplernn.options.option import option
from samplernn.options.values import (
    BOOLEAN,
    FRACTION,
    PATH,
    PROBABILITY,
    SAMPLE_RATE,
    SECONDS,
    SHARE,
    TEMPERATURE,
    automatic,
    optional,
    several,
    whole,
)
from samplernn.system.errors import InputError

DEFAULT_DUR, DEFAULT_DUR_OF_NOTES = 3.0, 30.0  # seconds
DEFAULT_NOTE_THRESHOLD = 0.02


@dataclass(frozen=True, kw_only=True)
class GenerationOptions(SoundOptions, ComputationOptions):
    """The options of generate.py."""

    output_path: str = option(
        MISSING, PATH, "path of the WAV or MIDI file; epoch and temperature are added to its name"
    )
    checkpoint_path: tuple[str, ...] = option(
        MISSING,
        several(PATH),
        "checkpoint, such as logdir/default/26.07.2020_20.48.51/model.ckpt-100, or a run folder, for its latest; or"
        " several, with each of which all is generated, unless --blend has two generate together",
        repeatable=True,
    )
    all_checkpoints: bool = option(False, BOOLEAN, "generate with all checkpoints of the run folders, not the latest")
    blend: float | str | None = option(
        None,
        optional(SHARE),
        "generate with two checkpoints together: the share of the second, from 0 to 1, in what is predicted, or its"
        " envelope over time, such as 0@0,1@30",
        "each by itself",
    )
    config_file: str | None = option(
        None,
        optional(PATH),
        "JSON file with the parameters of the model; of several checkpoints it is for those without one of their own",
        "the one beside the checkpoint",
    )
    dur: float | None = option(
        None,
        optional(SECONDS),
        "duration, seconds, exact to the sample",
        f"{DEFAULT_DUR}, of MIDI {DEFAULT_DUR_OF_NOTES}, or as long as what is reconstructed or decoded",
    )
    num_seqs: int = option(1, whole(1), "number of sequences")
    max_batch: int | None = option(
        None,
        automatic(whole(1)),
        "number of sequences generated at the same time, which takes less time than one after the other; auto: 64 on a"
        " CPU, where more are no faster, and on a GPU 128, halved until they fit",
    )
    sample_rate: int | None = option(
        None, optional(SAMPLE_RATE), "sample rate, Hz", f"the checkpoint's, else {DEFAULT_SAMPLE_RATE}"
    )
    top_k: int | None = option(None, optional(whole(1)), "draw among so many of the likeliest levels")
    top_p: float | None = option(
        None,
        optional(PROBABILITY),
        "draw among as few of the likeliest levels as have this probability together",
    )
    note_threshold: float = option(
        DEFAULT_NOTE_THRESHOLD, FRACTION, "of MIDI, the probability up to which a note is not drawn"
    )
    max_notes: int | None = option(None, optional(whole(1)), "of MIDI, how many notes may sound at a step")
    hold: str | None = option(
        None, optional(PATH), "MIDI file of notes that are kept from the beginning on, while others are drawn"
    )
    soundfont: str | None = option(
        None,
        optional(PATH),
        "soundfont with which the program fluidsynth makes MIDI audible",
        "one of the system's; without it or the program a synthesizer of our own",
    )
    seed_dur: float | None = option(
        None,
        optional(SECONDS),
        "how much of the seed the network reads, seconds",
        "as much as the model needs, of MIDI all",
    )
    reconstruct: str | None = option(
        None, optional(PATH), "audio file that an autoencoder is to encode and decode; it is resampled if need be"
    )
    codes: str | None = option(None, optional(PATH), "file of encode.py's that an autoencoder is to decode")
    decoder_path: tuple[str, ...] = option(
        (),
        several(PATH),
        "of a model over codes, where the autoencoders below it lie, from the top down",
        "the copies in its run folder, or where they were",
        repeatable=True,
    )
    decoder_temperature: tuple[float | str, ...] = option(
        (DEFAULT_TEMPERATURE,),
        several(TEMPERATURE),
        "sampling temperature of the autoencoders below a model over codes, one for all or one for each, from the top"
        " down",
    )
    include_seed: bool = option(False, BOOLEAN, "begin the files with what was read of the seed")
    random_seed: int | None = option(
        None,
        optional(whole(0)),
        "seed of the random numbers; the same one repeats the audio",
        "a new one each time",
    )

    def __post_init__(self):
        for name in ("seed_dur", "include_seed"):
            if getattr(self, name) and not self.seed:
                raise InputError(f"--{name} is about the seed, and there is none; name it by --seed")
        if self.all_checkpoints and self.blend is not None:
            raise InputError("--all_checkpoints generates with each by itself, --blend with two; leave out one of them")
        sources = [f"--{name}" for name in ("seed", "reconstruct", "codes") if getattr(self, name)]
        if len(sources) > 1:
            raise InputError(f"{' and '.join(sources)} say different things to begin from; leave out all but one")
