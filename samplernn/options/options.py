"""What a user may set: the options of the commands, by the names and with the defaults of their flags."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass
from pathlib import Path

from samplernn.options.option import option, with_default
from samplernn.options.values import (
    ADDRESS_OF_PAGE,
    BOOLEAN,
    DECIBELS,
    FOLDER_NAME,
    FRACTION,
    PATH,
    POLICY,
    POSITIVE,
    PROBABILITY,
    SAMPLE_RATE,
    SECONDS,
    SHARE,
    TEMPERATURE,
    automatic,
    one_of,
    optional,
    several,
    whole,
)
from samplernn.system.errors import InputError

MONITORS = ("loss", "accuracy", "val_loss", "val_accuracy")
HELD_OUT = ("files", "recordings", "time")
NORMALIZATIONS = ("peak", "loudness")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
SCRIPTS = Path(__file__).resolve().parents[2]  # the folder of train.py, generate.py and the others
DEFAULT_CONFIG_FILE = "./default.config.json"
DEFAULT_SAMPLE_RATE = 16000  # Hz
DEFAULT_TEMPERATURE = 0.95
DEFAULT_DUR, DEFAULT_DUR_OF_NOTES = 3.0, 30.0  # seconds
DEFAULT_NOTE_THRESHOLD = 0.02
SILENCE_DB = -64  # of full scale; what is at it or below is silent


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


@dataclass(frozen=True)
class ChunkOptions:
    """The options of chunk_audio.py."""

    input_file: tuple[str, ...] = option(
        MISSING,
        several(PATH),
        "the recordings, or folders of them: WAV, FLAC, OGG, MP3 and others",
        repeatable=True,
    )
    output_dir: str = option(MISSING, PATH, "folder for the chunks")
    chunk_length: int = option(8000, whole(1), "length of a chunk, milliseconds")
    overlap: int = option(0, whole(0), "overlap of consecutive chunks, milliseconds; less than their length")
    num_chunks: int | None = option(
        None, optional(whole(1)), "about how many chunks there are to be in all, by which the overlap is chosen"
    )
    sample_rate: int | None = option(
        None, optional(SAMPLE_RATE), "sample rate of the chunks, Hz", "the recording's own"
    )
    mono: bool = option(False, BOOLEAN, "mix the channels down to one")
    remove_dc: bool = option(False, BOOLEAN, "take from each channel of a recording its mean, the DC offset")
    normalize: str | None = option(
        None,
        optional(one_of(*NORMALIZATIONS)),
        "amplify each recording as a whole, to a peak of -1 dB of full scale, or to -16 LUFS where its peak stays below"
        " that",
    )
    silence_thresh: float | None = option(
        SILENCE_DB,
        optional(DECIBELS),
        "what is at it or below is silent, dB of full scale; None keeps silent chunks",
    )
    keep_tail: bool = option(
        False, BOOLEAN, "keep a last piece shorter than a chunk, too, if there is something new in it"
    )
    skip_unusable: bool = option(
        False, BOOLEAN, "leave out recordings that cannot be used, and name them; if False, they are an error"
    )
    replace: bool = option(False, BOOLEAN, "take away the old chunks of these recordings first")

    def __post_init__(self):
        if self.overlap >= self.chunk_length:
            raise InputError(f"--overlap {self.overlap} is not below --chunk_length {self.chunk_length}; choose less")
        if self.overlap and self.num_chunks:
            raise InputError("--num_chunks chooses the overlap, which --overlap says too; leave out one of them")


@dataclass(frozen=True)
class FetchOptions:
    """The options of fetch_audio.py."""

    url: tuple[str, ...] = option(
        MISSING,
        several(ADDRESS_OF_PAGE),
        "addresses of pages, playlists, RSS feeds or files",
        repeatable=True,
    )
    output_dir: str = option(MISSING, PATH, "folder for the recordings, WAV files, several of one address in a folder")
    sample_rate: int | None = option(
        None, optional(SAMPLE_RATE), "sample rate of the WAV files, Hz", "the recording's own"
    )
    mono: bool = with_default(ChunkOptions, "mono", False)


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


@dataclass(frozen=True, kw_only=True)
class EncodingOptions(ComputationOptions):
    """The options of encode.py."""

    checkpoint_path: str = option(MISSING, PATH, "checkpoint of an autoencoder, or a run folder, for its latest")
    input_file: tuple[str, ...] = option(
        MISSING, several(PATH), "audio files to encode; they are resampled if need be", repeatable=True
    )
    output_dir: str = option(MISSING, PATH, "folder for the codes, a file <name>.npz for each audio file")
    config_file: str | None = with_default(GenerationOptions, "config_file", None)


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(CorpusOptions, SoundOptions, ComputationOptions):
    """The options of train.py."""

    codes_from: str | None = option(
        None,
        optional(PATH),
        "checkpoint of an autoencoder, or a run folder for its latest, whose codes of the corpus are learnt instead of"
        " its audio",
        "that of the run that goes on",
    )
    skip_unusable: bool = option(
        False, BOOLEAN, "leave out files that cannot be used, and name them; if False, they are an error"
    )
    strict: bool = option(False, BOOLEAN, "make silent, clipped, unequally long and duplicate files an error too")
    id: str = option("default", FOLDER_NAME, "id of the training session, a folder below logdir_root and output_dir")
    verbose: bool = option(
        True,
        BOOLEAN,
        "print each step on a new line; if False, over the one before, or into a pipe one every ten seconds",
    )
    logdir_root: str = option("./logdir", PATH, "folder for checkpoints and logs")
    output_dir: str = option("./generated", PATH, "folder for the audio generated during training")
    config_file: str | None = option(
        None,
        optional(PATH),
        "JSON file with the parameters of the model",
        f"that of the checkpoint to begin from, else {DEFAULT_CONFIG_FILE}",
    )
    num_epochs: int = option(100, whole(1), "number of epochs, those done before a resume included")
    batch_size: int = option(
        64,
        whole(1),
        "size of a mini-batch; files that do not fill a last one are left out, so a divisor of their number is best",
        searchable=True,
    )
    optimizer: str = option("adam", one_of("adam", "sgd", "rmsprop"), "which optimizer learns", searchable=True)
    learning_rate: float = option(0.001, POSITIVE, "learning rate", searchable=True, in_flight=True)
    reduce_learning_rate_after: int | None = option(
        None, optional(whole(1)), "multiply the rate by exp(-0.1) after each epoch from this one on"
    )
    momentum: float = option(0.9, FRACTION, "momentum of sgd and rmsprop", searchable=True)
    polyak_decay: float | None = option(
        None,
        optional(FRACTION),
        "keep an average of the weights with this decay, such as 0.999, to validate and generate with",
    )
    monitor: str = option("val_loss", one_of(*MONITORS), "what early stopping and the policy Best watch")
    checkpoint_every: int = option(1, whole(1), "epochs between two checkpoints")
    checkpoint_every_minutes: float | None = option(
        None,
        optional(POSITIVE),
        "minutes between two checkpoints that are only there to be resumed from, for long epochs",
    )
    checkpoint_policy: str = option(
        "Always", POLICY, "Always (or All), or Best: only where the monitored value is the best so far"
    )
    max_checkpoints: int | None = option(
        5,
        optional(whole(1)),
        "checkpoints to keep, the last ones, beside which the best one by monitor is kept; None keeps all",
    )
    resume: bool = option(True, BOOLEAN, "go on from resume_from, or from the latest checkpoint of this id")
    resume_from: str | None = option(None, optional(PATH), "checkpoint to go on from; ignored when resume is False")
    init_from: str | None = option(
        None, optional(PATH), "checkpoint whose weights a new training begins with, instead of random ones"
    )
    early_stopping_patience: int | None = option(
        3, optional(whole(1)), "stop after this many epochs without improvement; None never stops"
    )
    generate: bool = option(True, BOOLEAN, "generate audio after each checkpoint")
    max_generate_per_epoch: int = option(1, whole(1), "number of audio files to generate each time")
    sample_rate: int | None = option(
        None, optional(SAMPLE_RATE), "sample rate of the generated audio, Hz", "the corpus's own"
    )
    output_file_dur: float = option(3.0, SECONDS, "duration of the generated audio, seconds")
    random_seed: int = option(
        0,
        whole(0),
        "seed of the initial weights, of the order of the files, of dropout and of the generated audio: the same one"
        " repeats a run, bit for bit on the CPU of the same machine",
    )
    num_gpus: int | None = option(None, automatic(whole(1)), "GPUs of this machine to use; auto: all")

    def __post_init__(self):
        if self.resume_from and self.init_from:
            raise InputError("--resume_from goes on with a run, --init_from begins a new one; leave out one of them")


@dataclass(frozen=True)
class ListenOptions:
    """The options of listen.py."""

    output_dir: str = option(MISSING, PATH, "folder for the page, or for the album")
    input_dir: str | None = option(
        None, optional(PATH), "folder with the clips, WAV files with their JSONs", "of an album, where the clips were"
    )
    training_dir: tuple[str, ...] = option(
        (),
        several(PATH),
        "folder with what was trained on, or several, that the clips are compared with",
        "nothing",
        repeatable=True,
    )
    blind: bool = option(
        False, BOOLEAN, "hide checkpoint, epoch, temperature and name of a clip until it is given stars"
    )
    export: str | None = option(
        None, optional(PATH), "what the page has exported, of which an album is to be made", "a page is made"
    )

    def __post_init__(self):
        if not self.input_dir and not self.export:
            raise InputError("--input_dir names the clips to make a page of, or --export what a page has exported")
        if self.export and (self.training_dir or self.blind):
            raise InputError("--training_dir and --blind are about a page, and --export makes an album; leave them out")


@dataclass(frozen=True)
class RenderingOptions:
    """The options of render_midi.py."""

    input_file: tuple[str, ...] = option(
        MISSING, several(PATH), "MIDI files, or folders of them, .mid and .midi", repeatable=True
    )
    output_dir: str = option(
        MISSING, PATH, "folder for the WAV files, in which they lie as the MIDI files do in theirs"
    )
    sample_rate: int = option(DEFAULT_SAMPLE_RATE, SAMPLE_RATE, "sample rate of the WAV files, Hz")
    soundfont: str | None = option(
        None,
        optional(PATH),
        "soundfont with which the program fluidsynth plays them",
        "a synthesizer of our own, exact to the sample",
    )
    skip_unusable: bool = with_default(TrainingOptions, "skip_unusable", False)


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions(ComputationOptions):
    """The options of evaluate.py."""

    checkpoint_path: tuple[str, ...] = option(
        MISSING,
        several(PATH),
        "checkpoints to compare, or run folders, each for its best by what its run watched",
        repeatable=True,
    )
    data_dir: tuple[str, ...] = option(
        (),
        several(PATH),
        "folder with the files to evaluate on, WAV files, or several",
        "with --held_out that of each run",
        repeatable=True,
    )
    held_out: bool = option(
        False,
        BOOLEAN,
        "evaluate on what the run of each checkpoint has held out",
    )
    skip_unusable: bool = with_default(TrainingOptions, "skip_unusable", False)
    config_file: str | None = option(
        None,
        optional(PATH),
        "JSON file with the parameters of the models; of several checkpoints it is for those without one of their own",
        "the one beside each checkpoint",
    )
    batch_size: int = option(64, whole(1), "files that are read at the same time; the figures do not depend on it")
    output_file: str | None = option(
        None, optional(PATH), "where to write the table, a path that ends in .json or .csv; a file there is replaced"
    )

    def __post_init__(self):
        if not self.data_dir and not self.held_out:
            raise InputError("--data_dir is missing: name the folder with the files to evaluate on, or give --held_out")
        if self.output_file and Path(self.output_file).suffix.lower() not in (".json", ".csv"):
            raise InputError(f"--output_file {self.output_file}: it must end in .json or .csv")


@dataclass(frozen=True, kw_only=True)
class CheckOptions(TrainingOptions):
    """The options of train.py --check: those of the training that does not begin, of which none is required."""

    data_dir: tuple[str, ...] = with_default(CorpusOptions, "data_dir", ())


def better(monitor: str) -> Callable:
    """The function that picks the better of two monitored values: max for accuracy, min for loss."""
    return max if monitor.endswith("accuracy") else min
