"""Stacks in the user's hands: autoencoders, models over their codes, what they generate and how it is measured."""

import contextlib
import io
import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from networks import randomized, saved
from trainings import StopAt, runs, with_callback

from samplernn.audio.quantize import MuLaw
from samplernn.audio.wav import Recording, examine
from samplernn.checkpoints.settings import model_config, read_settings
from samplernn.corpus.codes import read_codes, write_codes
from samplernn.corpus.scan import scan_corpus
from samplernn.corpus.windows import batches
from samplernn.evaluation.evaluate import evaluate
from samplernn.generation import coded_corpus
from samplernn.generation import generator as generation
from samplernn.generation.chain import as_settings, chain_below, chain_from, hash_of
from samplernn.generation.coded_corpus import as_codes, make_codes
from samplernn.generation.encode import encode_files
from samplernn.generation.encoding import Encoder
from samplernn.generation.generate import generate_from_checkpoints
from samplernn.generation.stack import Stack
from samplernn.models.autoencoder.config import AMAEConfig, VQVAEConfig
from samplernn.models.config import NO_ITEM
from samplernn.models.registry import build, config_to_dict
from samplernn.models.wavenet.config import WaveNetConfig
from samplernn.options.common import SoundOptions
from samplernn.options.encode import EncodingOptions
from samplernn.options.evaluate import EvaluationOptions
from samplernn.options.generate import GenerationOptions
from samplernn.options.train import TrainingOptions
from samplernn.search.options import KerasTunerOptions
from samplernn.search.results import train_command
from samplernn.search.search import Search
from samplernn.search.space import of_model
from samplernn.system.errors import InputError
from samplernn.training.beginning import check_seed
from samplernn.training.clips import reconstructing
from samplernn.training.train import train

LENGTHS = [700, 700, 700, 700, 651, 700]
TOP = WaveNetConfig(q_type="codes", seq_len=16, num_stages=3, residual_size=8, inner_size=8, skip_size=16)


def written(folder, config):
    path = folder / f"{config_to_dict(config)['model']}-{config.data}.config.json"
    path.write_text(json.dumps(config_to_dict(config)))
    return str(path)


def checkpoint(options):
    return runs_of(options)[-1] / "model.ckpt-1"


def runs_of(options):
    return sorted(Path(options.logdir_root, options.id).iterdir())


@pytest.fixture(scope="session")  # a module's would be made again where another worker's tests come between
def stack(tmp_path_factory, music):
    """An autoencoder and a model over its codes, both trained for an epoch."""
    folder = tmp_path_factory.mktemp("stack")
    (folder / "corpus").mkdir()
    for i, length in enumerate(LENGTHS):
        soundfile.write(folder / "corpus" / f"piece_{i}.wav", music[i * 1000 :][:length], 16000)
    below = TrainingOptions(
        data_dir=(str(folder / "corpus"),),
        id="below",
        logdir_root=str(folder / "logdir"),
        output_dir=str(folder / "generated"),
        config_file=written(folder, VQVAEConfig.tiny()),
        num_epochs=1,
        batch_size=2,
        output_file_dur=0.02,
        jit_compile=False,
        learning_rate=0.01,
    )
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        train(below)
    top = replace(below, id="top", config_file=written(folder, TOP), codes_from=str(folder / "logdir" / "below"))
    train(top)
    return SimpleNamespace(folder=folder, below=below, top=top, printed=printed.getvalue())


def generate(stack, tmp_path, name="out", options=None, **changes):
    options = {
        "output_path": str(tmp_path / name),
        "checkpoint_path": (str(checkpoint(options or stack.top)),),
        "random_seed": 3,
        "jit_compile": False,
        **changes,
    }
    return [(soundfile.read(wav)[0], wav) for wav in generate_from_checkpoints(GenerationOptions(**options))]


def test_an_autoencoders_clips_are_reconstructions_of_what_is_held_out(stack):
    folder = stack.folder / "generated" / "below"
    name = read_settings(checkpoint(stack.below))["split"]["validation"][0]
    assert {file.name for file in folder.glob("*.wav")} == {
        f"below_{Path(name).stem}_e=1_t=0.95.wav",
        f"below_{Path(name).stem}_original.wav",
    }
    original, _ = soundfile.read(folder / f"below_{Path(name).stem}_original.wav")
    np.testing.assert_array_equal(original, soundfile.read(stack.folder / "corpus" / name)[0][:320])
    said = json.loads((folder / f"below_{Path(name).stem}_e=1_t=0.95.json").read_text())
    assert said["reconstructs"]["path"] == str(stack.folder / "corpus" / name) and said["samples"] == 320


def test_what_is_measured_of_codes_is_printed_in_a_line_of_its_own(stack):
    (line,) = [line for line in stack.printed.splitlines() if "Perplexity" in line]
    (logs,) = read_settings(checkpoint(stack.below))["history"]
    assert line == (
        f"Epoch: 1/1, NLL: {logs['loss']:.3f}, Accuracy: {100 * logs['accuracy']:.3f},"
        f" Codes In Use: {logs['codes_in_use']}, Perplexity: {logs['perplexity']:.3f}, Restarts: {logs['restarts']},"
        f" Val NLL: {logs['val_loss']:.3f}, Val Accuracy: {100 * logs['val_accuracy']:.3f},"
        f" Val Codes In Use: {logs['val_codes_in_use']}, Val Perplexity: {logs['val_perplexity']:.3f}"
    )


def test_a_model_over_codes_learns_those_of_the_same_files_on_the_same_sides(stack):
    above, below = (read_settings(checkpoint(options)) for options in (stack.top, stack.below))
    assert above["split"] == below["split"]
    assert above["config"]["q_levels"] == VQVAEConfig.tiny().num_codes and above["sample_rate"] == 16000
    encoder = hash_of(checkpoint(stack.below))
    assert [fact["sha256"] for fact in above["chain"]] == [encoder]
    folder = stack.folder / "logdir" / ".codes" / encoder[:16]
    (decoder,) = chain_below(checkpoint(stack.top), model_config(checkpoint(stack.top), None))
    encode, quantize = Encoder(decoder.load(), False), MuLaw().encode
    for i, length in enumerate(LENGTHS):
        (path,) = folder.glob(f"piece_{i}.*.npz")
        made = read_codes(path)
        audio, _ = soundfile.read(stack.folder / "corpus" / f"piece_{i}.wav", dtype="float32")
        np.testing.assert_array_equal(made.codes, encode(quantize(audio)))
        assert (len(made.codes), made.hop, made.levels, made.rate) == (length // 4, 4, 8, 16000)
        assert made.encoder == encoder


def test_codes_are_made_once_and_a_run_goes_on_without_their_encoder(stack, tmp_path, capsys):
    for name in ("top", ".codes"):
        shutil.copytree(stack.folder / "logdir" / name, tmp_path / "logdir" / name)
    options = replace(stack.top, logdir_root=str(tmp_path / "logdir"), codes_from=None, num_epochs=2, generate=False)
    train(options)
    out = capsys.readouterr().out
    assert "Encoding" not in out and "Epoch: 2/2, Loss" in out
    assert "Receptive field  15 codes, 3.8 ms" in out  # four samples each
    last = runs_of(options)[-1] / "model.ckpt-2"
    ours, theirs = (read_settings(each)["chain"] for each in (last, checkpoint(stack.top)))
    assert [fact["sha256"] for fact in ours] == [fact["sha256"] for fact in theirs]
    assert (last.parent / "chain" / "1" / "model.ckpt-1.index").is_file()


@pytest.mark.long
def test_the_same_command_goes_on_where_the_autoencoder_is_gone(stack, tmp_path, caplog):
    shutil.copytree(stack.folder / "logdir", tmp_path / "logdir")
    shutil.rmtree(tmp_path / "logdir" / "below")
    options = replace(stack.top, logdir_root=str(tmp_path / "logdir"), codes_from=str(tmp_path / "logdir" / "below"))
    train(replace(options, num_epochs=2, generate=False))
    assert (runs_of(options)[-1] / "model.ckpt-2.index").is_file()
    assert "below: nothing is there; going on with" in caplog.text


def test_nothing_is_encoded_before_all_is_found_to_be_in_order(stack, tmp_path, capsys):
    (tmp_path / "file").touch()
    options = replace(stack.top, logdir_root=str(tmp_path / "logdir"))
    for changes, said in [
        ({"output_dir": str(tmp_path / "file")}, "--output_dir"),
        ({"logdir_root": str(tmp_path / "file")}, "--logdir_root"),
        ({"seed": str(tmp_path / "file")}, "--seed"),
    ]:
        with pytest.raises(InputError, match=said):
            train(replace(options, **changes))
    assert "Encoding" not in capsys.readouterr().out and not (tmp_path / "logdir").exists()


def test_damaged_codes_are_made_again_and_those_of_other_music_are_others(stack, tmp_path, capsys):
    """Though its files have the names, lengths and times of those before."""
    shutil.copytree(stack.folder / "logdir" / ".codes", tmp_path / ".codes")
    recordings = scan_corpus((str(stack.folder / "corpus"),)).recordings
    chain = chain_from(stack.top.codes_from)
    made, *_ = (recording.path for recording in as_codes(recordings, chain, tmp_path))
    content = made.read_bytes()
    made.write_bytes(content[:200])
    make_codes(recordings, chain, tmp_path, False)
    assert "Encoding 1 file by" in capsys.readouterr().out and made.read_bytes() == content
    (tmp_path / "other").mkdir()
    for recording in recordings:
        audio, rate = soundfile.read(recording.path)
        soundfile.write(tmp_path / "other" / recording.name, audio[::-1], rate)
        shutil.copystat(recording.path, tmp_path / "other" / recording.name)
    others = as_codes(scan_corpus((str(tmp_path / "other"),)).recordings, chain, tmp_path)
    assert len(others) == len(LENGTHS) and not any(recording.path.exists() for recording in others)


@pytest.mark.long
def test_encoding_that_is_stopped_is_gone_on_with_by_the_same_command(stack, tmp_path, monkeypatch, capsys):
    written = []

    def write(path, sequence):
        if written:
            raise KeyboardInterrupt
        written.append(path)
        write_codes(path, sequence)

    options = replace(stack.top, logdir_root=str(tmp_path), generate=False)
    monkeypatch.setattr(coded_corpus, "write_codes", write)
    with pytest.raises(KeyboardInterrupt):
        train(options)
    assert "What is encoded is kept; the same command goes on with the rest." in capsys.readouterr().out
    monkeypatch.undo()
    train(options)
    assert "Encoding 5 files by" in capsys.readouterr().out


@pytest.mark.long
def test_another_encoders_codes_are_no_continuation(stack, tmp_path, capsys):
    train(replace(stack.below, id="other", random_seed=1, generate=False))
    other = str(stack.folder / "logdir" / "other")
    with pytest.raises(InputError, match=f"--codes_from {other}: .* is not what the run to be resumed, .* has learnt"):
        train(replace(stack.top, codes_from=other, num_epochs=2))
    capsys.readouterr()
    train(replace(stack.top, id="anew", codes_from=other, generate=False))
    assert "Encoding 6 files by" in capsys.readouterr().out


@pytest.mark.long
def test_stopping_and_resuming_over_codes_is_as_never_stopping(stack, tmp_path, monkeypatch):
    from torture import assert_equal

    options = replace(stack.top, logdir_root=str(tmp_path), generate=False, num_epochs=2)
    train(replace(options, id="whole"))
    with_callback(monkeypatch, StopAt(1, 2))
    with pytest.raises(KeyboardInterrupt):
        train(replace(options, id="parts"))
    monkeypatch.undo()
    train(replace(options, id="parts"))
    (whole,), (_, last) = (runs_of(replace(options, id=name)) for name in ("whole", "parts"))
    assert_equal(whole / "model.ckpt-2", last / "model.ckpt-2")


# --- Generating ---


@pytest.mark.long
def test_a_stack_generates_audio_the_same_in_any_pieces(stack, tmp_path, monkeypatch):
    options = {"dur": 0.05, "num_seqs": 2, "temperature": (1.0,), "decoder_temperature": (0.8,)}
    made = generate(stack, tmp_path, **options)
    assert [len(audio) for audio, _ in made] == [800, 800]
    assert not np.array_equal(made[0][0], made[1][0]) and len(np.unique(made[0][0])) > 20
    monkeypatch.setattr(generation, "ITEMS_A_CALL", 128)
    again = generate(stack, tmp_path, "again", **options)
    for (audio, _), (other, _) in zip(made, again):
        np.testing.assert_array_equal(audio, other)
    said = json.loads(made[0][1].with_suffix(".json").read_text())
    assert said["decoder_temperature"] == [0.8] and len(said["chain"]) == 1
    assert said["config"]["q_type"] == "codes"
    hotter = generate(stack, tmp_path, "hot", **options | {"decoder_temperature": (1.3,)})
    assert not np.array_equal(hotter[0][0], made[0][0])


def test_a_clip_of_a_stack_is_audio_and_its_command_makes_it_again(stack, tmp_path, monkeypatch):
    (clip,) = (stack.folder / "generated" / "top").glob("*.wav")
    said = json.loads(clip.with_suffix(".json").read_text())
    assert said["samples"] == 320 and said["complete"]
    from samplernn.commands import cli

    monkeypatch.setattr("sys.argv", said["command"][1:])
    (again,) = generate_from_checkpoints(cli.generation_options())
    assert again.read_bytes() == clip.read_bytes() and again != clip


@pytest.mark.long
def test_the_chain_is_found_where_it_is(stack, tmp_path):
    """The copy in the run folder, else where it was, else where --decoder_path says; never another one."""
    shutil.copytree(stack.folder / "logdir", tmp_path / "logdir")
    (run,) = (runs_of(replace(stack.top, logdir_root=str(tmp_path / "logdir")))[0],)
    place = {"checkpoint_path": (str(run),), "dur": 0.01}
    (made,) = generate(stack, tmp_path, "a", **place)
    shutil.move(run / "chain", tmp_path / "moved")
    (from_its_run,) = generate(stack, tmp_path, "b", **place)
    settings = run / "model.ckpt-1.json"
    content = json.loads(settings.read_text())
    content["chain"][0]["path"] = str(tmp_path / "nowhere" / "model.ckpt-1")
    settings.write_text(json.dumps(content))
    with pytest.raises(
        InputError, match="trained over an autoencoder that is lost: .*nowhere.* is not there any more; name by"
    ):
        generate(stack, tmp_path, "c", **place)
    (named,) = generate(stack, tmp_path, "c", **place, decoder_path=(str(tmp_path / "moved" / "1"),))
    np.testing.assert_array_equal(made[0], from_its_run[0])
    np.testing.assert_array_equal(made[0], named[0])
    other = tmp_path / "moved" / "1" / "model.ckpt-1.data-00000-of-00001"
    other.write_bytes(other.read_bytes()[:-1] + b"x")
    with pytest.raises(
        InputError, match="--decoder_path: .*moved.1.* is not .*nowhere.*, over which .*, or has changed"
    ):
        generate(stack, tmp_path, "d", **place, decoder_path=(str(tmp_path / "moved" / "1"),))


@pytest.mark.parametrize(
    "changes",
    [{"hop": 2}, {"num_codes": 4}, None],
    ids=["another hop", "other codes", "no JSON"],
)
def test_a_copy_whose_json_has_changed_gives_way_to_the_original(stack, tmp_path, changes):
    run = tmp_path / "run"
    shutil.copytree(checkpoint(stack.top).parent, run)
    copy = run / "chain" / "1" / "model.ckpt-1.json"
    content = json.loads(copy.read_text())
    copy.unlink()
    if changes:
        copy.write_text(json.dumps(content | {"config": content["config"] | changes}))
    settings = run / "model.ckpt-1.json"
    (decoder,) = chain_below(run / "model.ckpt-1", model_config(run / "model.ckpt-1", None))
    assert decoder.checkpoint == checkpoint(stack.below)
    settings.write_text(settings.read_text().replace(str(checkpoint(stack.below)), "nowhere"))
    with pytest.raises(InputError, match="that is lost: .*chain.*, or the JSON beside it, has changed; name by"):
        generate(stack, tmp_path, checkpoint_path=(str(run),))


@pytest.mark.parametrize(
    "chain, said",
    [
        (lambda chain: chain * 2, "a circle"),
        (lambda chain: [], "does not know whose codes it has learnt"),
        (lambda chain: "x", "not the settings of a checkpoint"),
        (lambda chain: [{"path": 3}], "not the settings of a checkpoint"),
    ],
)
def test_a_chain_that_cannot_be_is_told(stack, tmp_path, chain, said):
    run = tmp_path / "run"
    shutil.copytree(checkpoint(stack.top).parent, run)
    content = json.loads((run / "model.ckpt-1.json").read_text())
    content["chain"] = chain(content["chain"])
    (run / "model.ckpt-1.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=said):
        generate(stack, tmp_path, checkpoint_path=(str(run),))


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"codes_from": "top"}, "^--codes_from: .*top.* is no autoencoder"),
        ({"codes_from": None}, "is for codes; name the autoencoder that makes them by --codes_from"),
        ({"config_file": "below"}, "is for audio, and --codes_from makes codes;"),
        ({"codes_from": "nowhere"}, "^--codes_from: .*nowhere: there is no such checkpoint"),
    ],
)
def test_what_is_no_autoencoder_or_for_another_kind_is_told(stack, changes, said):
    if changes.get("codes_from"):
        changes["codes_from"] = str(stack.folder / "logdir" / changes["codes_from"])
    if "config_file" in changes:
        changes["config_file"] = stack.below.config_file
    with pytest.raises(InputError, match=said):
        train(replace(stack.top, id="new", **changes))
    assert not (stack.folder / "logdir" / "new").exists()


@pytest.mark.parametrize(
    "of, changes, said",
    [
        ("top", {"reconstruct": "wav"}, "--reconstruct: .* is no autoencoder, which alone decodes"),
        ("below", {}, "is an autoencoder, which only decodes: give it --reconstruct in.wav, or --codes"),
        ("below", {"seed": "wav"}, "is an autoencoder, which only decodes"),
        ("below", {"reconstruct": "wav", "dur": 1.0}, "--dur 1.0: there are codes of only 0.04375 seconds"),
        ("top", {"decoder_temperature": (0.9, 0.8)}, "--decoder_temperature: 2 values for 1 autoencoder below"),
        ("below", {"reconstruct": "json"}, "--reconstruct: .* is not audio that can be read"),
        ("below", {"decoder_path": ("x",), "reconstruct": "wav"}, "--decoder_path: .* is of audio, and has none"),
        ("top", {"decoder_path": ("x", "y")}, "has 1 autoencoder below it, and there are 2 paths"),
        (
            "top",
            {"seed": "wav", "seed_offset": 699},
            "--seed_offset 699 is too far into .*; 6.. is the largest",
        ),
        ("top", {"seed": "wav", "seed_dur": 2.0}, "--seed_dur 2.0: .* has only 0.043 seconds"),
    ],
)
def test_misuse_of_a_stack_is_told_before_anything_is_written(stack, tmp_path, of, changes, said):
    files = {"wav": stack.folder / "corpus" / "piece_0.wav", "json": stack.below.config_file}
    changes = {name: str(files[value]) if value in files else value for name, value in changes.items()}
    with pytest.raises(InputError, match=said):
        generate(stack, tmp_path, options=getattr(stack, of), **changes)
    assert list(tmp_path.iterdir()) == []


def test_things_to_begin_from_exclude_each_other():
    with pytest.raises(InputError, match="--seed and --reconstruct say different things to begin from"):
        GenerationOptions(output_path="a", checkpoint_path=("b",), seed="s", reconstruct="r")


# --- Seeds ---


def test_a_seed_is_read_by_all_levels_as_the_recording_that_it_is(stack, tmp_path, caplog):
    """Its codes are those of the whole recording; those that would hear its end are dropped, which is said."""
    wav = stack.folder / "corpus" / "piece_0.wav"
    top = build(model_config(checkpoint(stack.top), None))
    chain = chain_below(checkpoint(stack.top), top.config)
    whole = Stack(top, chain, 16000, jit_compile=False)
    tokens = MuLaw().encode(soundfile.read(wav, dtype="float32")[0])
    codes = whole.encode(tokens)
    of_codes = chain[0].config.codes
    above, below = whole.contexts(SoundOptions(seed=str(wav)), 0.02)  # 320 samples, which are 80 codes
    np.testing.assert_array_equal(above.heard, codes[:80])
    np.testing.assert_array_equal(below.heard, tokens[:320])
    np.testing.assert_array_equal(below.codes, [*[NO_ITEM] * of_codes.reach, *codes[:80]])
    assert above.seed["dur"] == 0.02
    assert not [record for record in caplog.records if record.name.startswith("samplernn")]  # TensorFlow has remarks
    above, below = whole.contexts(SoundOptions(seed=str(wav)), 700 / 16000)
    usable = (700 - of_codes.context) // 4
    np.testing.assert_array_equal(above.heard, codes[:usable])
    np.testing.assert_array_equal(below.heard, tokens[: 4 * usable])
    assert "are not read: their codes would hear its end" in caplog.text
    (only,) = generate(stack, tmp_path, dur=0.01, seed=str(wav), seed_dur=0.02, include_seed=True)
    np.testing.assert_array_equal(MuLaw().encode(only[0][:320]), tokens[:320])
    assert len(only[0]) == 320 + 160


def test_a_seed_of_which_no_code_is_sure_is_refused_before_there_is_a_network(stack, tmp_path, music):
    top = model_config(checkpoint(stack.top), None)
    chain = chain_below(checkpoint(stack.top), top)
    options = replace(stack.top, seed=str(tmp_path / "seed.wav"))
    needed = chain[0].config.codes.hop + chain[0].config.codes.context
    soundfile.write(options.seed, music[: needed - 1], 16000)
    with pytest.raises(InputError, match=f"--seed .*seed.wav: {needed - 1} samples, {needed} are needed; use a longer"):
        check_seed(options, top, chain, 16000)
    soundfile.write(options.seed, music[:needed], 16000)
    check_seed(options, top, chain, 16000)


# --- Files of codes ---


def test_what_is_encoded_is_decoded_as_it_is_reconstructed_and_can_be_edited(stack, tmp_path):
    wav = stack.folder / "corpus" / "piece_4.wav"  # 651 samples, 162 codes
    options = EncodingOptions(
        checkpoint_path=str(checkpoint(stack.below)),
        input_file=(str(wav), str(wav)),
        output_dir=str(tmp_path / "codes"),
        jit_compile=False,
    )
    first, second = encode_files(options)
    assert [first.name, second.name] == ["piece_4.npz", "piece_4_1.npz"]
    assert first.read_bytes() == second.read_bytes() and len(read_codes(first).codes) == 162
    (whole,) = generate(stack, tmp_path, "a", stack.below, reconstruct=str(wav))
    (decoded,) = generate(stack, tmp_path, "b", stack.below, codes=str(first), dur=0.03)
    assert len(whole[0]) == 162 * 4 and len(decoded[0]) == 480
    np.testing.assert_array_equal(decoded[0], whole[0][:480])
    with np.load(first) as file:
        content = dict(file)
    np.savez(first, **content | {"codes": content["codes"][::-1]})
    (backwards,) = generate(stack, tmp_path, "c", stack.below, codes=str(first))
    assert len(backwards[0]) == 648 and not np.array_equal(backwards[0], whole[0])
    for name, value, said in [
        ("hop", 8, "its hop is 8, that of .* is 4"),
        ("levels", 256, "its levels is 256, that of .* is 8"),
        ("rate", 8000, "its rate is 8000, that of .* is 16000"),
        ("encoder", "00", "its codes are of another encoder than"),
    ]:
        np.savez(first, **content | {name: value})
        with pytest.raises(
            InputError, match=f"--codes .*: {said}.*; decode it with the checkpoint that has encoded it"
        ):
            generate(stack, tmp_path, "d", stack.below, codes=str(first))
    with pytest.raises(InputError, match="--checkpoint_path: .* is no autoencoder, which alone makes codes"):
        encode_files(replace(options, checkpoint_path=str(checkpoint(stack.top))))


# --- Measuring ---


def test_the_bound_of_a_stack_is_all_its_nll_a_sample(stack, tmp_path, capsys):
    table = tmp_path / "table.json"
    options = EvaluationOptions(
        checkpoint_path=(str(checkpoint(stack.top)),), held_out=True, jit_compile=False, output_file=str(table)
    )
    above, below = evaluate(options)
    assert json.loads(table.read_text()) == [above, below]
    assert (above["codes"], below["samples"]) == (2 * 160, 2 * 640)  # whole windows of 16 codes, of two files
    np.testing.assert_allclose(above["bound_nats"], below["nll_nats"] + above["nll_nats"] / 4, rtol=1e-12)
    assert "bound_nats" not in below and 1 < below["perplexity"] <= below["codes_in_use"] <= 8
    np.testing.assert_allclose(
        above["nll_nats"], read_settings(checkpoint(stack.top))["history"][0]["val_loss"], rtol=1e-5
    )
    np.testing.assert_allclose(
        below["nll_nats"], read_settings(checkpoint(stack.below))["history"][0]["val_loss"], rtol=1e-5
    )


def test_what_is_behind_what_is_predicted_is_heard(stack):
    """As in training, where a file is cut for another model's windows: the codes are those of the whole file."""
    whole, config = examine(stack.folder / "corpus" / "piece_0.wav", "piece_0.wav"), VQVAEConfig.tiny()
    windows = 700 // config.seq_len - 1
    cut = whole.cut(windows * config.seq_len)
    expected, found = (
        np.concatenate([x for x, *_ in batches([[recording]], config, range(windows))]) for recording in (whole, cut)
    )
    np.testing.assert_array_equal(found, expected)
    assert NO_ITEM in expected[0] and NO_ITEM not in expected[-1]
    chain, logdir = (
        chain_below(checkpoint(stack.top), model_config(checkpoint(stack.top), None)),
        stack.folder / "logdir",
    )
    (of_whole,), (of_cut,) = as_codes([whole], chain, logdir), as_codes([cut], chain, logdir)
    assert of_cut == of_whole.cut(cut.frames // 4) and of_whole.frames == of_cut.length == 175
    assert of_whole.path.is_file()


@pytest.mark.long
def test_a_model_over_codes_that_makes_codes_has_no_bound(stack, tmp_path):
    """What it predicts of the codes below it, it predicts by its own, which cost something too."""
    amae = AMAEConfig.from_dict(AMAEConfig.tiny().to_dict() | {"q_type": "codes", "seq_len": 16, "hop": 2})
    middle = replace(
        stack.top, id="mid", config_file=written(tmp_path, amae), logdir_root=str(tmp_path), generate=False
    )
    train(middle)
    paths = tuple(str(checkpoint(options)) for options in (middle, stack.top))
    rows = evaluate(EvaluationOptions(checkpoint_path=paths, held_out=True, jit_compile=False))
    assert ["bound_nats" in row for row in rows] == [False, False, True, False]


# --- Three levels ---


@pytest.mark.long
def test_three_levels_train_generate_reconstruct_and_are_measured(stack, tmp_path):
    amae = AMAEConfig.from_dict(AMAEConfig.tiny().to_dict() | {"q_type": "codes", "seq_len": 16, "hop": 2})
    middle = replace(stack.top, id="middle", config_file=written(tmp_path, amae), output_file_dur=0.01)
    train(middle)
    (clip,) = (stack.folder / "generated" / "middle").glob("*_e=1_*.wav")
    assert len(soundfile.read(clip)[0]) == 160
    top = replace(
        middle, id="three", config_file=stack.top.config_file, codes_from=str(stack.folder / "logdir" / "middle")
    )
    train(replace(top, batch_size=1))
    assert [fact["hop"] for fact in read_settings(checkpoint(top))["chain"]] == [2, 4]
    (made,) = generate(stack, tmp_path, options=top, dur=0.02, decoder_temperature=(0.9, 0.8))
    assert len(made[0]) == 320
    rows = evaluate(EvaluationOptions(checkpoint_path=(str(checkpoint(top)),), held_out=True, jit_compile=False))
    nll = [row["nll_nats"] for row in rows]
    np.testing.assert_allclose(rows[0]["bound_nats"], nll[2] + nll[1] / 4 + nll[0] / 8, rtol=1e-9)
    wav = stack.folder / "corpus" / "piece_1.wav"
    (seeded,) = generate(stack, tmp_path, "s", options=top, dur=0.02, seed=str(wav))
    assert len(seeded[0]) == 320
    shutil.rmtree(runs(middle)[0])  # the copies are enough
    (again,) = generate(stack, tmp_path, "again", options=top, dur=0.02, decoder_temperature=(0.9, 0.8))
    np.testing.assert_array_equal(made[0], again[0])


# --- Borders ---


def test_a_reconstruction_is_as_long_as_the_whole_codes_of_its_recording_at_any_rate():
    recording = Recording(Path("a.wav"), "a.wav", 16000, 651, 1)
    clip = GenerationOptions(output_path="o", checkpoint_path=("c",), dur=3.0, num_seqs=4)
    made = reconstructing(recording, 4, clip)
    assert (made.dur, made.num_seqs, made.reconstruct) == (648 / 16000, 1, "a.wav")
    assert reconstructing(recording, 4, replace(clip, sample_rate=48000)).dur == 648 / 48000
    assert reconstructing(recording, 4, replace(clip, dur=0.01)).dur == 0.01


def test_a_corpus_of_another_rate_than_the_autoencoders_is_refused(stack, tmp_path):
    for i in range(6):
        soundfile.write(tmp_path / f"piece_{i}.wav", np.sin(np.arange(700) / 9), 8000)
    with pytest.raises(InputError, match="--data_dir: the files are at 8000 Hz, and the autoencoders .* at 16000 Hz"):
        train(replace(stack.top, id="new", data_dir=(str(tmp_path),)))


@pytest.mark.long
def test_recordings_of_the_same_name_keep_originals_of_their_own_however_short_the_first_is(stack, tmp_path, music):
    for i, folder in enumerate(("a", "b")):
        (tmp_path / "corpus" / folder).mkdir(parents=True)
        for j in range(3):
            piece = music[(3 * i + j) * 1000 :][: 203 if (i, j) == (1, 1) else 700]
            soundfile.write(tmp_path / "corpus" / folder / f"same_{j}.wav", piece, 16000)
    options = {
        "data_dir": (str(tmp_path / "corpus"),),
        "logdir_root": str(tmp_path),
        "output_dir": str(tmp_path / "out"),
    }
    options = replace(stack.below, **options, id="x", val_frac=0.5, batch_size=3, max_generate_per_epoch=3)
    train(options)
    held_out = read_settings(checkpoint(options))["split"]["validation"]
    assert held_out[0] == "b/same_1.wav"
    for name in held_out:
        original = tmp_path / "out" / "x" / f"x_{name.replace('/', '_').removesuffix('.wav')}_original.wav"
        audio, _ = soundfile.read(tmp_path / "corpus" / name)
        np.testing.assert_array_equal(soundfile.read(original)[0], audio[: 200 if name == held_out[0] else 320])
    original.write_text("la la la")  # another file of that name is nobody's original
    train(replace(options, num_epochs=2))
    assert original.read_text() == "la la la"
    np.testing.assert_array_equal(soundfile.read(original.with_stem(f"{original.stem}_1"))[0], audio[:320])


@pytest.mark.long
def test_a_search_learns_the_codes_of_an_autoencoder_which_are_made_once(stack, tmp_path, monkeypatch):
    names = [option.name for option in of_model("wavenet")]
    options = KerasTunerOptions(
        data_dir=stack.below.data_dir,
        codes_from=str(stack.folder / "logdir" / "below"),
        model="wavenet",
        logdir=str(tmp_path),
        num_epochs=1,
        jit_compile=False,
        space={name: (getattr(TOP, name),) for name in names} | {"batch_size": (2,), "learning_rate": (0.01,)},
    )
    search, encoded = Search(options), []
    make = coded_corpus._make
    monkeypatch.setattr(coded_corpus, "_make", lambda missing, *of: encoded.append(len(missing)) or make(missing, *of))
    search.check()
    with search.begun():
        choice = {name: values[0] for name, values in options.space.items()}
        trials = [search.run_trial(name, choice) for name in "01"]
    assert encoded == [len(LENGTHS)]
    found = read_settings(Path(trials[0].checkpoint))
    assert found["split"] == read_settings(checkpoint(stack.top))["split"]
    assert [fact["sha256"] for fact in found["chain"]] == [hash_of(checkpoint(stack.below))]
    assert trials[0].history == trials[1].history
    assert options.codes_from in shlex.join(train_command(search.training_options(choice)))


@pytest.mark.parametrize(
    ("codes_from", "q_types", "said"),
    [
        (
            None,
            ("mu-law", "codes"),
            "--q_type codes: name the autoencoder that makes them by --codes_from",
        ),
        (
            "x",
            ("codes", "mu-law"),
            "--codes_from: a network of the search would learn audio; give --q_type codes alone",
        ),
        ("x", ("mu-law",), "--codes_from: a network of the search would learn audio; give --q_type codes alone"),
    ],
)
def test_a_search_is_of_audio_or_of_codes(codes_from, q_types, said):
    with pytest.raises(InputError, match=f"^{said}"):
        KerasTunerOptions(data_dir=("d",), model="wavenet", codes_from=codes_from, space={"q_type": q_types})
    with pytest.raises(InputError, match="^--codes_from: a network .*; leave it out, for no network of this --model"):
        KerasTunerOptions(data_dir=("d",), codes_from="x")


def test_a_search_over_codes_of_nothing_names_the_flag():
    options = KerasTunerOptions(data_dir=("d",), model="wavenet", codes_from="nowhere", space={"q_type": ("codes",)})
    with pytest.raises(InputError, match="^--codes_from: nowhere: "):
        Search(options)


def with_other_weights(original, folder, **settings):
    """A checkpoint like another in a new folder, whose weights are others."""
    model = randomized(build(model_config(original, None)), stddev=0.3)
    return saved(model, folder / "model.ckpt-1", **read_settings(original) | settings)


@pytest.mark.long
def test_models_over_the_codes_of_one_autoencoder_are_blended_and_of_others_are_not(stack, tmp_path):
    first, second = checkpoint(stack.top), with_other_weights(checkpoint(stack.top), tmp_path / "second")

    def generated(name, *checkpoints, **flags):
        ((audio, _),) = generate(stack, tmp_path, name, checkpoint_path=tuple(map(str, checkpoints)), dur=0.04, **flags)
        return audio

    alone = generated("a", first), generated("b", second)
    assert not np.array_equal(*alone)
    np.testing.assert_array_equal(generated("blend", first, second, blend=1.0), alone[1])
    other = with_other_weights(checkpoint(stack.below), tmp_path / "other")
    third = with_other_weights(first, tmp_path / "third", chain=as_settings(chain_from(str(other))))
    with pytest.raises(InputError, match="^--blend: .* are over the codes of different autoencoders; name two over"):
        generated("c", first, third, blend=0.5)
