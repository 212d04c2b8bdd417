"""Official files -> checkpoint directory: what goes in comes out; what does not fit is refused, both sides named."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from flowreel.pipeline.generator.checkpoint import CONFIG_FILE, WEIGHTS_FILE, read_checkpoint
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.image_config import EncoderConfig, ImageCheckpointConfig, ImageGeneratorConfig
from flowreel.pipeline.generator.image_networks import Encoder
from flowreel.pipeline.generator.importing.options import Options
from flowreel.pipeline.generator.importing.run import Imported, Request, import_checkpoint
from flowreel.pipeline.generator.loading import load_generator
from flowreel.pipeline.generator.networks import ScaleInput, VideoGenerator
from flowreel.pipeline.storage import open_store
from flowreel.schemas.errors import CheckpointError

from .official_files import (
    CITY,
    FACE,
    POSE,
    SINGLE_LOCAL,
    State,
    build,
    build_image,
    learned,
    state,
    write_official,
    write_pth,
)

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = GeneratorConfig(ngf=4, n_downsample=2, n_blocks=2, n_blocks_local=1, n_scales=2)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints" / "mine"


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "imported"


def bring(source: Path, dest: Path, flags: dict[str, Any] | None = None, **request: Any) -> Imported:
    said = Options(origin="flags", **(flags or {}))
    return import_checkpoint(Request(str(source), str(dest), said, **request))


def load(dest: Path) -> VideoGenerator:
    generator = load_generator(read_checkpoint(open_store(str(dest))), "cpu")
    assert isinstance(generator, VideoGenerator)
    return generator


def refused(source: Path, dest: Path, flags: dict[str, Any] | None = None, **request: Any) -> str:
    """The message; nothing may have been written."""
    with pytest.raises(CheckpointError) as caught:
        bring(source, dest, flags, **request)
    assert not list(dest.glob("*"))
    return str(caught.value)


def holds(dest: Path, original: VideoGenerator) -> None:
    found = load(dest).state_dict()
    for key, value in learned(original).items():
        assert torch.equal(found[key], value), key


def inputs_for(config: GeneratorConfig) -> list[ScaleInput]:
    generator = torch.Generator().manual_seed(5)

    def noise(channels: int, side: int) -> torch.Tensor:
        return torch.randn(1, channels, side, side, generator=generator)

    sides = [32 * 2**scale for scale in range(config.n_scales)]
    channels, history = config.n_frames * config.frame_channels, 3 * (config.n_frames - 1)
    return [ScaleInput(noise(channels, s), noise(history, s), noise(1, s).sigmoid(), raw_only=False) for s in sides]


# Round trips


@pytest.mark.parametrize(
    "config",
    [
        CITY,
        SMALL,
        POSE,
        FACE,
        SMALL.model_copy(update={"flow": False, "n_blocks": 3}),
        SMALL.model_copy(update={"fg_labels": (), "use_instance": False, "n_frames": 2}),
    ],
    ids=["three scales", "wide foreground", "pose", "face with features", "no flow", "plain, two frames"],
)
def test_weights_and_configuration_come_back(config: GeneratorConfig, source: Path, dest: Path) -> None:
    original = build(config)
    imported = bring(write_official(source, original), dest)
    back = load(dest)
    assert imported.config == back.config
    assert back.config.model_copy(update={"sources": {}}) == config
    assert list(learned(back)) == list(learned(original))
    for key, value in learned(original).items():
        assert torch.equal(back.state_dict()[key], value), key
    given = inputs_for(config)
    with torch.no_grad():
        for mine, theirs in zip(back(given), original(given), strict=True):
            assert torch.equal(mine.image_B3HW, theirs.image_B3HW)


def test_the_summary_counts_and_fingerprints_what_was_read(source: Path, dest: Path) -> None:
    import hashlib

    original = build(FACE)
    imported = bring(write_official(source, original), dest)
    assert {n.label: n.parameters for n in imported.networks} == {
        label: sum(value.numel() for value in learned(getattr(original, label)).values()) for label in ("G0", "S", "E")
    }
    names = ["features.npy", "latest_net_E.pth", "latest_net_G.pth", "latest_net_G0.pth"]
    assert imported.config.sources == {n: hashlib.sha256((source / n).read_bytes()).hexdigest() for n in names}
    assert imported.written is not None
    assert imported.written.sha256 == hashlib.sha256((dest / WEIGHTS_FILE).read_bytes()).hexdigest()


def test_where_weights_came_from_is_not_part_of_what_they_are(source: Path, dest: Path) -> None:
    bring(write_official(source, build(SMALL)), dest)
    before = read_checkpoint(open_store(str(dest))).digest
    file = dest / CONFIG_FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | {"sources": {"other.pth": "0" * 64}}))
    assert read_checkpoint(open_store(str(dest))).digest == before


def test_files_of_old_pytorch_load(source: Path, dest: Path) -> None:
    original = build(SMALL)
    bring(write_official(source, original, legacy=True), dest)
    holds(dest, original)


def test_statistics_may_be_missing(source: Path, dest: Path) -> None:
    def without(found: State) -> State:
        return {k: v for k, v in found.items() if "running" not in k and "tracked" not in k}

    bring(write_official(source, build(SMALL), without), dest)
    load(dest)


def test_tensors_that_share_memory_are_stored_apart(source: Path, dest: Path) -> None:
    def share(found: State) -> State:
        same = torch.arange(8.0)
        return found | {"model_down_seg.2.weight": same[:4], "model_down_seg.2.bias": same[2:6]}

    write_official(source, build(SMALL.model_copy(update={"n_scales": 1})), share)
    bring(source, dest)
    norm = load(dest).get_submodule("G0.model_down_seg.2").state_dict()
    assert (norm["weight"].tolist(), norm["bias"].tolist()) == ([0, 1, 2, 3], [2, 3, 4, 5])


def test_the_prefix_of_parallel_training_is_taken_off(source: Path, dest: Path) -> None:
    original = build(SMALL)
    write_official(source, original, lambda found: {f"module.{k}": v for k, v in found.items()})
    notes = bring(source, dest).notes
    assert "latest_net_G0.pth: took `module.` (DataParallel) off its keys" in notes
    holds(dest, original)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.bfloat16])
def test_other_precisions_become_float32(source: Path, dest: Path, dtype: torch.dtype) -> None:
    original = build(SMALL)
    bring(write_official(source, original, lambda s: {k: v.to(dtype) for k, v in s.items()}), dest)
    stored = load_file(dest / WEIGHTS_FILE)
    for key, value in learned(original).items():
        assert torch.equal(stored[key], value.to(dtype).float()), key


def test_float16_halves_the_file_and_refuses_what_it_cannot_hold(source: Path, dest: Path, tmp_path: Path) -> None:
    original = build(SMALL)
    write_official(source, original)
    full = bring(source, dest).written
    half = bring(source, tmp_path / "half", dtype=torch.float16).written
    assert full and half and half.size < 0.6 * full.size
    large = state(original.scales[0])
    large["model_final_img.1.bias"] = torch.tensor([1e5, 0, 0])
    write_pth(source / "latest_net_G0.pth", large)
    message = refused(source, tmp_path / "none", dtype=torch.float16)
    assert (
        "values beyond 65504, the largest of torch.float16, in model_final_img.1.bias; say --dtype float32" in message
    )


# First frames


def test_the_generator_of_first_frames_lies_beside(source: Path, dest: Path) -> None:
    write_official(source, build(SMALL))
    single = build_image(SINGLE_LOCAL)
    write_pth(source.parent / "label2city_single" / "latest_net_G_2048.pth", state(single))
    imported = bring(source, dest)
    assert isinstance(imported.config, GeneratorConfig) and imported.config.single == SINGLE_LOCAL
    loaded = load(dest)
    assert all(torch.equal(loaded.state_dict()[f"S.{k}"], v) for k, v in learned(single).items())


def test_of_several_the_size_chooses_or_the_user(source: Path, dest: Path, tmp_path: Path) -> None:
    write_official(source, build(SMALL))
    beside = source.parent / "label2city_single"
    for size, ngf in ((512, 2), (1024, 4)):
        config = ImageGeneratorConfig(ngf=ngf, n_downsample=2, n_blocks=1)
        write_pth(beside / f"latest_net_G_{size}.pth", state(build_image(config)))
    message = refused(source, dest)
    assert "has several generators of single images: latest_net_G_1024.pth, latest_net_G_512.pth" in message
    assert f"name the one to use: --single {beside}/latest_net_G_1024.pth" in message
    requests: list[dict[str, Any]] = [{"flags": {"load_size": 512}}, {"single": str(beside / "latest_net_G_512.pth")}]
    for number, request in enumerate(requests):
        config_made = bring(source, tmp_path / str(number), **request).config
        assert config_made.single is not None and config_made.single.ngf == 2
    assert bring(source, dest, single="").config.single is None


def test_no_generator_of_first_frames_is_said(source: Path, dest: Path) -> None:
    write_official(source, build(SMALL))
    assert any("no generator of first frames was found" in note for note in bring(source, dest).notes)


def test_a_generator_of_other_channels_is_refused(source: Path, dest: Path) -> None:
    write_official(source, build(SMALL))
    file = write_pth(source / "latest_net_G.pth", state(build_image(ImageGeneratorConfig(input_nc=20, ngf=2))))
    message = refused(source, dest, single=str(file))
    assert "single.input_nc is 20, but a frame has 35 channels and an edge channel" in message
    assert message.endswith("with --no-single, or name another: --single")


def test_features_that_do_not_fit_are_refused(source: Path, dest: Path) -> None:
    write_official(source, build(FACE))
    write_pth(source / "latest_net_E.pth", state(Encoder(EncoderConfig(ngf=2, n_downsample=2, output_nc=4))))
    message = refused(source, dest)
    assert "latest_net_E.pth makes 4 feature channels" in message and "latest_net_G.pth takes 5" in message


def test_feature_tables_keep_their_precision(source: Path, dest: Path) -> None:
    bring(write_official(source, build(FACE)), dest, dtype=torch.float16)
    stored = load_file(dest / WEIGHTS_FILE)
    assert {k: v.dtype for k, v in stored.items() if k.startswith("features.")} == {
        f"features.{label}": torch.float32 for label in range(7)
    }
    assert stored["E.model.1.weight"].dtype == torch.float16


def test_a_face_generator_needs_its_tables(source: Path, dest: Path) -> None:
    write_official(source, build(FACE))
    (source / "features.npy").unlink()
    assert "needs latest_net_E.pth and features.npy beside it; add them, or say --no-single" in refused(source, dest)


# pix2pixHD on its own


@pytest.mark.parametrize(
    ("config", "assumed"),
    [
        (ImageGeneratorConfig(input_nc=36, ngf=2, n_downsample=2, n_blocks=2), 1),
        (ImageGeneratorConfig(kind="local", input_nc=35, ngf=2, n_downsample=2, n_blocks=2, n_blocks_local=1), 1),
        (ImageGeneratorConfig(input_nc=36, ngf=2, n_downsample=2, n_blocks=1, feat_num=3, encoder=EncoderConfig()), 2),
        (
            ImageGeneratorConfig(
                kind="local_with_features", ngf=2, n_downsample=1, n_blocks=2, n_local_enhancers=2, feat_num=4
            ),
            1,
        ),
    ],
    ids=["global", "local", "global, features in the input", "local with features"],
)  # fmt: skip
def test_pix2pixhd_becomes_a_checkpoint_of_its_own(
    config: ImageGeneratorConfig, assumed: int, source: Path, dest: Path
) -> None:
    network = build_image(config)
    write_pth(source / "latest_net_G.pth", network.state_dict())  # without statistics
    if config.encoder:
        write_pth(source / "latest_net_E.pth", Encoder(config.encoder).state_dict())
    imported = bring(source, dest)
    assert isinstance(imported.config, ImageCheckpointConfig)
    assert imported.config.single == config and len(imported.assumed) == assumed
    stored = load_file(dest / WEIGHTS_FILE)
    assert all(torch.equal(stored[f"S.{key}"], value) for key, value in network.state_dict().items())
    with pytest.raises(CheckpointError) as caught:
        load(dest)
    assert "is a generator of single images (pix2pixHD) and renders no video" in str(caught.value)
    assert f"flowreel import-checkpoint VIDEO_FILES DEST --single {dest}" in str(caught.value)


def test_an_imported_pix2pixhd_makes_first_frames(source: Path, dest: Path, tmp_path: Path) -> None:
    config = ImageGeneratorConfig(input_nc=36, ngf=2, n_downsample=2, n_blocks=2)
    network = build_image(config)
    write_pth(tmp_path / "pix2pixHD" / "latest_net_G.pth", network.state_dict())
    bring(tmp_path / "pix2pixHD", tmp_path / "image")
    bring(write_official(source, build(SMALL)), dest, single=str(tmp_path / "image"))
    loaded = load(dest)
    assert loaded.config.single == config
    assert all(torch.equal(loaded.state_dict()[f"S.{k}"], v) for k, v in learned(network).items())


# What does not fit


def renamed(found: State) -> State:
    return {k.replace("model_final_w", "model_final_weight"): v for k, v in found.items()}


def test_a_renamed_key_is_listed_with_its_likely_name(source: Path, dest: Path) -> None:
    message = refused(write_official(source, build(SMALL), renamed), dest)
    assert f"{source}/latest_net_G0.pth does not have the weights of G0:\n  2 missing\n" in message
    assert "    model_final_w.1.bias (renamed? the file has model_final_weight.1.bias)" in message
    assert f"{source}/latest_net_G1.pth does not have the weights of G1:" in message


def test_the_first_convolution_renamed_is_named_too(source: Path, dest: Path) -> None:
    def change(found: State) -> State:
        return {k.replace("model_down_seg.1.", "model_down_seq.1."): v for k, v in found.items()}

    write_official(source, build(SMALL), change)
    message = refused(source, dest)
    assert "latest_net_G0.pth: model_down_seg.1.weight is missing, the first convolution" in message
    assert "the nearest name there is model_down_seq.1.weight" in message


def test_a_wrong_shape_is_listed(source: Path, dest: Path) -> None:
    found = state(build(SMALL).scales[0])
    found["indv_up.1.bias"] = torch.zeros(9)
    write_official(source, build(SMALL))
    write_pth(source / "latest_net_G0.pth", found)
    message = refused(source, dest)
    assert "  1 of another shape\n    indv_up.1.bias: (9,) here, (8,) in the network" in message


def test_long_lists_are_cut(source: Path, dest: Path) -> None:
    write_official(source, build(SMALL), lambda s: {k: v for k, v in s.items() if "flow" not in k or "final_flow" in k})
    message = refused(source, dest)
    assert message.count("\n    ") == 2 * 11 and "\n    and " in message


def test_a_missing_scale_is_named(source: Path, dest: Path) -> None:
    write_official(source, build(CITY))
    (source / "latest_net_G1.pth").unlink()
    assert "latest_net_G1.pth is missing, but latest_net_G2.pth is there" in refused(source, dest)


def test_files_of_two_generators_are_told_apart(source: Path, dest: Path) -> None:
    write_official(source, build(SMALL))
    other = build(SMALL.model_copy(update={"ngf": 8, "fg_labels": ()}))
    write_pth(source / "latest_net_G1.pth", state(other.get_submodule("G1")))
    message = refused(source, dest)
    assert "these files are not the scales of one generator" in message
    assert "base width: 4 in" in message and "asks for 2" in message
    assert "a foreground branch: missing in" in message


def test_a_foreground_of_another_width_is_named(source: Path, dest: Path) -> None:
    found = state(build(SMALL).scales[0])
    found["indv_down.1.weight"] = found["indv_down.1.weight"][:2].clone()
    write_pth(source / "latest_net_G0.pth", found)
    message = refused(source, dest)
    assert "the foreground branch has width 2; with base width 4 and 2 stride-2 steps" in message
    assert "vid2vid builds it with 4" in message


def test_values_that_are_no_numbers_are_named(source: Path, dest: Path) -> None:
    found = state(build(SMALL).scales[0])
    found["model_final_img.1.bias"][0] = float("nan")
    write_pth(source / "latest_net_G0.pth", found)
    assert "latest_net_G0.pth: NaN or infinite values in model_final_img.1.bias" in refused(source, dest)


@pytest.mark.parametrize(
    ("opt", "flags", "said"),
    [
        ("ngf: 64\nlabel_nc: 35\n", {}, "  ngf: 4 by the weights, 64 by opt.txt"),
        ("ngf: 4\nno_flow: True", {}, "  flow: True by the weights, False by opt.txt"),
        ("ngf: 4\nlabel_nc: 20\nuse_instance: True", {}, "36 channels per frame by the weights"),
        ("ngf: 4\nlabel_nc: 20\nuse_instance: True", {}, "21 by label_nc 20 (opt.txt) and use_instance True (opt.txt)"),
        ("ngf: 4\nn_scales_spatial: 3", {}, "latest_net_G2.pth is missing: opt.txt says n_scales 3"),
        ("ngf: 4\nn_scales_spatial: 1", {}, "n_scales 1 by opt.txt; say which are wanted: --n-scales 2"),
        ("ngf: many", {}, "ngf: 'many': "),
        ("nothing to read", {}, "opt.txt holds no `name: value` lines"),
        ("", {"n_frames": 4}, "  n_frames: 3 by the weights, 4 by --n-frames"),
        ("", {"label_nc": 36}, "36 labels are of no built-in label space: name yours with --label-space"),
        ("", {"fg_labels": (40,)}, "fg_labels [40] outside the label channels 0..34"),
    ],
)
def test_options_that_contradict_the_weights_are_refused(
    source: Path, dest: Path, opt: str, flags: dict[str, Any], said: str
) -> None:
    write_official(source, build(SMALL))
    if opt:
        (source / "opt.txt").write_text(opt)
    assert said in refused(source, dest, flags)


def test_opt_and_preset_must_agree(source: Path, dest: Path) -> None:
    write_official(source, build(SMALL))
    (source / "opt.txt").write_text("ngf: 128\nloadSize: 896")
    message = refused(source, dest, {"n_scales": 2}, preset="label2city_2048")
    assert "  ngf: 4 by the weights, 128 by --preset label2city_2048" in message
    (source / "opt.txt").write_text("ngf: 4\nloadSize: 896")
    message = refused(source, dest, {"n_scales": 2}, preset="label2city_2048")
    assert "ngf: 128 by --preset label2city_2048, 4 by opt.txt; leave --preset out or move opt.txt away" in message


def test_channels_that_could_be_anything_are_asked_for(source: Path, dest: Path) -> None:
    write_official(source, build(SMALL.model_copy(update={"label_nc": 20, "fg_labels": ()})))
    message = refused(source, dest)
    assert "21 channels per frame can be labels or pictures" in message
    assert "say --label-nc 20 --use-instance, or --label-nc 21, or --input-nc 21 for pictures" in message
    config = bring(source, dest, {"label_nc": 20, "label_space": "train20"}).config
    assert (config.label_nc, config.use_instance, config.label_space) == (20, True, "train20")


def test_options_say_what_weights_cannot(source: Path, dest: Path) -> None:
    write_official(source, build(SMALL))
    (source / "opt.txt").write_text("label_nc: 35\nuse_instance: True\nfg: True\nfg_labels: 24,26\nlabel_space: x")
    imported = bring(source, dest, {"label_space": "cityscapes", "size": (64, 32)})
    assert isinstance(imported.config, GeneratorConfig)
    assert (imported.config.fg_labels, imported.config.size, imported.assumed) == ((24, 26), (64, 32), ())
    assert imported.said_by == ("opt.txt",)


def test_fewer_scales_may_be_taken(source: Path, dest: Path) -> None:
    imported = bring(write_official(source, build(SMALL)), dest, {"n_scales": 1})
    assert [n.label for n in imported.networks] == ["G0"]
    assert "latest_net_G1.pth is left out (--n-scales)" in imported.notes


# Places


def test_a_checkpoint_is_not_overwritten_unless_asked(source: Path, dest: Path) -> None:
    write_official(source, build(SMALL))
    bring(source, dest)
    with pytest.raises(CheckpointError, match=r"has a config\.json already: choose another place, or add --overwrite"):
        bring(source, dest)
    bring(source, dest, overwrite=True)


def test_a_dry_run_writes_nothing(source: Path, dest: Path) -> None:
    assert bring(write_official(source, build(SMALL)), dest, dry_run=True).written is None
    assert not dest.exists()


def test_other_epochs_and_other_folders_are_hinted_at(source: Path, dest: Path) -> None:
    write_official(source, build(SMALL))
    for file in source.glob("*.pth"):
        file.rename(source / file.name.replace("latest", "20"))
    assert "no latest_net_G0.pth and no latest_net_G.pth; there are weights of 20: choose one with --epoch" in refused(
        source, dest
    )
    assert f"there are weights in {source}: give that folder" in refused(source.parent, dest)
    assert bring(source, dest, epoch="20").written is not None


def test_buckets_are_read_and_written(source: Path, tmp_path: Path) -> None:
    original = build(SMALL)
    bucket = open_store("memory://import-test/in")
    for file in write_official(source, original).glob("*.pth"):
        bucket.write(file.name, file.read_bytes())
    said = Options(origin="flags")
    import_checkpoint(Request("memory://import-test/in", "memory://import-test/out", said))
    stored = read_checkpoint(open_store("memory://import-test/out"))
    back = load_generator(stored, "cpu").state_dict()
    assert all(torch.equal(back[k], v) for k, v in learned(original).items())
