"""First frames that the generator makes itself, and what else a clip can start from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor

from flowreel.pipeline.generator.checkpoint import WEIGHTS_FILE, read_checkpoint
from flowreel.pipeline.generator.checks import check_weights
from flowreel.pipeline.generator.clip_data import Conditioning
from flowreel.pipeline.generator.clips import RenderOptions, render_clips
from flowreel.pipeline.generator.conditioning import encode, encode_pictures, to_uint8
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.engine import PlainEngine
from flowreel.pipeline.generator.features import FeatureTables, part_vectors, region_means
from flowreel.pipeline.generator.first_frames import first_frames
from flowreel.pipeline.generator.image_config import EncoderConfig, ImageGeneratorConfig
from flowreel.pipeline.generator.image_networks import ImageGenerator
from flowreel.pipeline.generator.loading import load_generator, save_checkpoint
from flowreel.pipeline.generator.networks import VideoGenerator
from flowreel.pipeline.generator.rollout import foreground_mask, start_from, step
from flowreel.pipeline.sources.scenes import street_scene
from flowreel.pipeline.storage import open_store
from flowreel.schemas.errors import CheckpointError

SIZE, T = (64, 32), 3
SMALL: dict[str, Any] = {"ngf": 4, "n_downsample": 2, "n_blocks": 2}
STREET = GeneratorConfig(**SMALL, single=ImageGeneratorConfig(**SMALL))
FACE_SINGLE = ImageGeneratorConfig(
    kind="global_with_features",
    input_nc=2,
    feat_num=3,
    encoder=EncoderConfig(ngf=2, n_downsample=2, output_nc=3),
    feature_rows=(4, 3, 3),
    **SMALL,
)
FACE = GeneratorConfig(label_nc=0, input_nc=2, use_instance=False, fg_labels=(), single=FACE_SINGLE, **SMALL)

pytestmark = pytest.mark.usefixtures("one_thread")


def build(config: GeneratorConfig) -> VideoGenerator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = VideoGenerator(config).requires_grad_(False)
        for table in generator.features.tables() if generator.features else []:
            table.normal_()
        return generator


@pytest.fixture(scope="module")
def street_generator() -> VideoGenerator:
    return build(STREET)


@pytest.fixture(scope="module")
def face_generator() -> VideoGenerator:
    return build(FACE)


def street(seed: int = 0, frames: int = 5) -> Conditioning:
    scene = street_scene(seed, frames, SIZE)
    return Conditioning(scene.label_THW, scene.instance_THW)


def encoded(clip: Conditioning) -> Tensor:
    assert clip.instance_THW is not None
    label_THW, instance_THW = torch.from_numpy(clip.label_THW), torch.from_numpy(clip.instance_THW.astype(np.int32))
    return encode(label_THW, instance_THW, STREET)[None]


def real_frames(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (T - 1, SIZE[1], SIZE[0], 3), np.uint8)


def face(seed: int = 0) -> Conditioning:
    rng = np.random.default_rng(seed)
    part_THW = np.zeros((T - 1, SIZE[1], SIZE[0]), np.uint8)
    part_THW[:, 8:24, 8:40], part_THW[:, 12:16, 12:20] = 1, 2
    picture_TLHW = rng.random((5, 2, SIZE[1], SIZE[0]), np.float32)
    label_THW = np.zeros((5, SIZE[1], SIZE[0]), np.uint8)
    return Conditioning(label_THW, None, None, real_frames(seed), part_THW, picture_TLHW)


# Frames from labels


def test_frames_are_made_one_by_one_from_labels_alone(street_generator: VideoGenerator) -> None:
    frames_BTLHW = encoded(street())[:, : T - 1]
    made = first_frames(street_generator, frames_BTLHW)
    assert made.shape == (1, T - 1, 3, SIZE[1], SIZE[0]) and made.abs().max() <= 1
    alone = first_frames(street_generator, frames_BTLHW[:, 1:])
    assert torch.equal(made[:, 1:], alone)
    without_edges = frames_BTLHW.clone()
    without_edges[:, :, -1] = 0
    assert torch.equal(first_frames(street_generator, without_edges), made)


def test_a_single_image_generator_with_an_edge_channel_sees_it() -> None:
    config = GeneratorConfig(**SMALL, single=ImageGeneratorConfig(input_nc=36, **SMALL))
    generator, frames_BTLHW = build(config), encoded(street())[:, : T - 1]
    without_edges = frames_BTLHW.clone()
    without_edges[:, :, -1] = 0
    assert not torch.equal(first_frames(generator, without_edges), first_frames(generator, frames_BTLHW))


@pytest.mark.parametrize(("lead_in", "before"), [("repeat", [0, 0]), ("drop", [0, 1])])
def test_a_clip_starts_from_generated_frames(street_generator: VideoGenerator, lead_in: str, before: list[int]) -> None:
    """Of the label frames before the one that is rendered first."""
    frames_BTLHW = encoded(street())
    state = start_from(STREET, first_frames(street_generator, frames_BTLHW[:, before]))
    window = [*before, 0 if lead_in == "repeat" else T - 1]
    _, out = step(street_generator, state, frames_BTLHW[:, window])
    found = render_clips(PlainEngine(street_generator), [street()], RenderOptions(lead_in=lead_in))[0].image_THW3  # type: ignore[arg-type]
    np.testing.assert_array_equal(found[0], to_uint8(out.image_B3HW[0]).movedim(0, -1).numpy())


def test_real_frames_come_before_an_exemplar_before_generated_ones(street_generator: VideoGenerator) -> None:
    first_THW3 = real_frames()
    first_THW3[:] = first_THW3[0]
    own, exemplar = street(), replace(street(), exemplar_HW3=first_THW3[0])
    real = replace(exemplar, first_THW3=first_THW3, exemplar_HW3=255 - first_THW3[0])
    images = [
        render_clips(PlainEngine(street_generator), [clip], RenderOptions())[0].image_THW3
        for clip in (own, exemplar, real)
    ]
    assert not np.array_equal(images[0], images[1])
    np.testing.assert_array_equal(images[1], images[2])  # the same frames, and the other exemplar is not looked at


def test_too_few_first_frames_are_refused(street_generator: VideoGenerator) -> None:
    with pytest.raises(ValueError, match="1 first frames given; this generator needs 2"):
        render_clips(PlainEngine(street_generator), [replace(street(), first_THW3=real_frames()[:1])], RenderOptions())


def test_all_clips_or_none_have_first_frames(street_generator: VideoGenerator) -> None:
    with pytest.raises(ValueError, match="1 of 2 clips in lock-step have first frames; all or none must"):
        render_clips(
            PlainEngine(street_generator), [street(), replace(street(1), first_THW3=real_frames())], RenderOptions()
        )


def test_without_a_single_image_generator_there_are_none() -> None:
    with pytest.raises(ValueError, match="no single-image generator"):
        first_frames(build(replace_single(STREET, None)), encoded(street())[:, : T - 1])


def replace_single(config: GeneratorConfig, single: ImageGeneratorConfig | None) -> GeneratorConfig:
    return config.model_copy(update={"single": single})


def test_the_scales_are_those_of_the_video(face_generator: VideoGenerator) -> None:
    assert len(face_generator.scales) == 1
    assert [name for name, _ in face_generator.named_children()] == ["G0", "S", "E", "features"]


# Frames from features


def test_a_face_looks_like_a_known_one(face_generator: VideoGenerator) -> None:
    clip = face()
    images = render_clips(PlainEngine(face_generator), [clip], RenderOptions(lead_in="drop"))[0].image_THW3
    changed = build(FACE)
    for table in changed.features.tables() if changed.features else []:
        table.neg_()
    assert not np.array_equal(
        images, render_clips(PlainEngine(changed), [clip], RenderOptions(lead_in="drop"))[0].image_THW3
    )


def test_a_generator_with_encoder_needs_real_frames_and_parts(face_generator: VideoGenerator) -> None:
    for lacking in (replace(face(), first_THW3=None, part_THW=None), replace(face(), first_THW3=None)):
        with pytest.raises(ValueError, match="it needs the first 2 real frames of each clip and their part labels"):
            render_clips(PlainEngine(face_generator), [lacking], RenderOptions())


def test_real_frames_without_parts_are_taken_as_they_are(face_generator: VideoGenerator) -> None:
    given = replace(face(), part_THW=None)
    a, b = (
        render_clips(PlainEngine(face_generator), [clip], RenderOptions())[0].image_THW3 for clip in (given, face())
    )
    assert not np.array_equal(a, b)


def tables(*values: list[list[float]]) -> FeatureTables:
    rows = tuple(len(table) for table in values)
    encoder = EncoderConfig(ngf=2, n_downsample=1, output_nc=1)
    single = ImageGeneratorConfig(kind="global_with_features", feat_num=1, encoder=encoder, feature_rows=rows)
    found = FeatureTables(single)
    for table, value in zip(found.tables(), values, strict=True):
        table.copy_(torch.tensor(value))
    return found


def test_the_nearest_image_is_found_over_all_parts_together() -> None:
    known = tables([[0.0], [3.0], [9.0]], [[0.0], [5.0]])  # two images; the third row of part 0 has no partner
    everything = torch.tensor([True, True])
    for vector, expected in (([1, 4], [3, 5]), ([2, 1], [0, 0]), ([9, 0], [3, 5])):
        assert known(torch.tensor(vector).float()[:, None], everything).flatten().tolist() == expected


def test_a_part_that_does_not_occur_does_not_count() -> None:
    known = tables([[0.0], [3.0]], [[0.0], [50.0]])
    feature_1HW = torch.full((1, 2, 2), 2.9)
    vector_KZ, present_K = part_vectors(feature_1HW, torch.zeros(2, 2, dtype=torch.int64), 2)
    assert vector_KZ.tolist() == [[pytest.approx(2.9)], [0]] and present_K.tolist() == [True, False]
    assert known(vector_KZ, present_K).flatten().tolist() == [3, 50]


@pytest.mark.parametrize("label", [3, -1])
def test_an_unknown_part_label_is_named(label: int) -> None:
    with pytest.raises(ValueError, match=rf"part label {label} is not in 0\.\.2"):
        part_vectors(torch.zeros(1, 2, 2), torch.full((2, 2), label), 3)


def test_region_means_are_per_image_region_and_channel() -> None:
    feature_BZHW = torch.arange(16.0, dtype=torch.float64).reshape(2, 2, 2, 2)
    region_BHW = torch.tensor([[[7.9, 7.1], [-5, 7]], [[1, 1], [1, 1]]])  # ids are truncated: 7, 7, -5, 7
    means = region_means(feature_BZHW, region_BHW)
    assert means[0, 0].flatten().tolist() == pytest.approx([4 / 3, 4 / 3, 2, 4 / 3])
    assert means[0, 1].flatten().tolist() == pytest.approx([16 / 3, 16 / 3, 6, 16 / 3])
    assert means[1, 1].unique().tolist() == [13.5]


def test_a_feature_map_of_another_width_is_refused() -> None:
    generator = ImageGenerator(ImageGeneratorConfig(feat_num=3, **SMALL))
    with pytest.raises(ValueError, match="a feature map of 0 channels was given; this generator takes 3"):
        generator(torch.zeros(1, 35, 16, 16))


# Configurations and files


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "global_with_features"}, "needs feat_num"),
        ({"feat_num": 3, "encoder": {"output_nc": 4}}, "the encoder makes 4 channels, but feat_num is 3"),
        ({"feature_rows": [2, 2]}, "there is no encoder"),
        ({"feat_num": 3, "encoder": {}, "feature_rows": [3, 2, 3]}, r"labels \[1\] have fewer rows than the last"),
    ],
)
def test_what_does_not_fit_together_is_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ImageGeneratorConfig.model_validate(fields)


def test_a_single_image_generator_for_other_frames_is_refused() -> None:
    with pytest.raises(ValidationError, match="input_nc is 20, but a frame has 35 channels and an edge channel"):
        GeneratorConfig(single=ImageGeneratorConfig(input_nc=20))


def test_sizes_fit_the_single_image_generator_and_the_encoder_too() -> None:
    assert GeneratorConfig(n_downsample=2, n_scales=3, single=ImageGeneratorConfig()).size_multiple == 16
    local = ImageGeneratorConfig(kind="local")
    assert GeneratorConfig(n_downsample=2, single=local).size_multiple == 32
    assert FACE.size_multiple == 4


def test_a_checkpoint_holds_all_networks(tmp_path: Path, face_generator: VideoGenerator) -> None:
    """Running statistics, which vid2vid's files have for these networks, are left out."""
    save_checkpoint(open_store(str(tmp_path)), face_generator)
    weights = load_file(tmp_path / WEIGHTS_FILE)
    assert "S.model_downsample.1.weight" in weights and weights["features.0"].shape == (4, 3)
    weights["S.model_downsample.2.running_mean"] = torch.ones(4)
    save_file(weights, tmp_path / WEIGHTS_FILE)
    loaded = load_generator(read_checkpoint(open_store(str(tmp_path))), "cpu")
    images = [render_clips(PlainEngine(g), [face()], RenderOptions())[0].image_THW3 for g in (face_generator, loaded)]
    np.testing.assert_array_equal(*images)
    del weights["features.1"]
    save_file(weights, tmp_path / WEIGHTS_FILE)
    with pytest.raises(CheckpointError, match=r"1 missing\n    features\.1"):
        check_weights(read_checkpoint(open_store(str(tmp_path))))


# Conditioning


@pytest.mark.parametrize("label", [35, 255, -1])
def test_a_label_without_a_channel_is_named(label: int) -> None:
    label_HW = torch.zeros(4, 4, dtype=torch.int32)
    label_HW[1, 2] = label
    with pytest.raises(ValueError, match=rf"label id {label} is not in 0\.\.34"):
        encode(label_HW, label_HW, STREET)


def test_pictures_bypass_the_encoding() -> None:
    picture_TLHW = torch.rand(3, 2, 4, 4)
    assert encode_pictures(picture_TLHW, None, FACE) is picture_TLHW
    with_edges = GeneratorConfig(label_nc=0, input_nc=2, fg_labels=(), use_instance=True)
    both_TLHW = encode_pictures(picture_TLHW, torch.eye(4).expand(3, 4, 4), with_edges)
    assert torch.equal(both_TLHW[:, :2], picture_TLHW) and set(both_TLHW[:, 2].unique().tolist()) == {0, 1}


def test_pictures_and_labels_are_not_mixed_up() -> None:
    with pytest.raises(ValueError, match="conditioned on pictures, not on label maps"):
        encode(torch.zeros(4, 4), None, FACE)
    with pytest.raises(ValueError, match="pictures of 3 channels were given; .* conditioned on pictures of 2"):
        encode_pictures(torch.zeros(3, 4, 4), None, FACE)
    with pytest.raises(ValueError, match="conditioned on label maps with 35 ids"):
        encode_pictures(torch.zeros(3, 4, 4), None, STREET)


def test_the_foreground_of_pictures_is_a_channel() -> None:
    """``fg_labels`` are channels of the current frame, clamped; without any there is no foreground."""
    frames = torch.full((1, 3 * 2, 4, 4), -1.0)
    frames[:, 4:] = torch.tensor([0.25, 3.0])[:, None, None]
    config = FACE.model_copy(update={"single": None})
    assert foreground_mask(frames, config).abs().max() == 0
    assert foreground_mask(frames, config.model_copy(update={"fg_labels": (0,)})).unique().tolist() == [0.25]
    assert foreground_mask(frames, config.model_copy(update={"fg_labels": (0, 1)})).unique().tolist() == [1]
