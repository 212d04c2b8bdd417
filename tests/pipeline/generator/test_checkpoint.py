"""Checkpoint directories: what goes in comes out, what is damaged says so, and the digest stands for what renders."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from flowreel.pipeline.generator.checkpoint import CONFIG_FILE, WEIGHTS_FILE, Checkpoint, layout_of, read_checkpoint
from flowreel.pipeline.generator.checks import check_fits, check_weights
from flowreel.pipeline.generator.config import GeneratorConfig
from flowreel.pipeline.generator.loading import load_generator, save_checkpoint
from flowreel.pipeline.generator.networks import VideoGenerator
from flowreel.pipeline.sources.file_index import FileFacts, fingerprint_of
from flowreel.pipeline.storage import FileInfo, Store, open_store
from flowreel.schemas.errors import CheckpointError
from flowreel.schemas.label_space import LabelClass, LabelSpace
from flowreel.schemas.label_spaces import BUILT_IN

STREET = BUILT_IN["cityscapes"]
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint"))


def read(folder: Path) -> Checkpoint:
    return read_checkpoint(open_store(str(folder)))


def load(folder: Path) -> VideoGenerator:
    generator = load_generator(read(folder), "cpu")
    assert isinstance(generator, VideoGenerator)
    return generator


def edit_config(folder: Path, **changes: Any) -> None:
    file = folder / CONFIG_FILE
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    weights = load_file(folder / WEIGHTS_FILE)
    change(weights)
    save_file(weights, folder / WEIGHTS_FILE)


# Round trip


def random_generator() -> VideoGenerator:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return VideoGenerator(GeneratorConfig(ngf=2, n_downsample=1, n_blocks=2, n_scales=2, description="a test"))


def test_float32_comes_back_bit_by_bit(tmp_path: Path) -> None:
    generator = random_generator()
    save_checkpoint(open_store(str(tmp_path)), generator)
    back = load(tmp_path)
    assert back.config == generator.config
    assert list(back.state_dict()) == list(generator.state_dict())
    for key, value in generator.state_dict().items():
        if not key.endswith(STATISTICS):
            assert torch.equal(back.state_dict()[key], value), key
    assert not any(p.requires_grad for p in back.parameters())


def test_float16_halves_the_file_and_loads_as_float32(tmp_path: Path) -> None:
    generator = random_generator()
    save_checkpoint(open_store(str(tmp_path / "full")), generator)
    save_checkpoint(open_store(str(tmp_path / "half")), generator, torch.float16)
    full, half = ((tmp_path / name / WEIGHTS_FILE).stat().st_size for name in ("full", "half"))
    assert half < 0.7 * full  # the header stays
    back = load(tmp_path / "half").state_dict()
    for key, value in generator.state_dict().items():
        if not key.endswith(STATISTICS):
            assert back[key].dtype == torch.float32
            assert torch.equal(back[key], value.half().float()), key


def test_the_official_statistics_are_neither_written_nor_needed_nor_refused(folder: Path) -> None:
    assert not [key for key in load_file(folder / WEIGHTS_FILE) if key.endswith(STATISTICS)]
    shapes = {k: v.shape for k, v in load(folder).state_dict().items() if k.endswith(STATISTICS)}
    assert len(shapes) > 30
    edit_weights(folder, lambda w: w.update({k: torch.ones(shape) for k, shape in shapes.items()}))
    load(folder)


# Identity


def test_the_digest_is_of_weights_and_architecture(folder: Path, tiny_checkpoint: Path) -> None:
    original = read(tiny_checkpoint).digest
    assert read(folder).digest == original  # elsewhere, the same
    edit_config(folder, description="the same networks", size=[128, 64])
    assert read(folder).digest == original
    edit_config(folder, fg_labels=[24])
    assert read(folder).digest != original


def test_one_weight_changes_the_digest(folder: Path, tiny_checkpoint: Path) -> None:
    def nudge(weights: dict[str, torch.Tensor]) -> None:
        weights["G1.model_final_img.1.bias"][0] += 1e-6

    edit_weights(folder, nudge)
    assert read(folder).digest != read(tiny_checkpoint).digest


def test_weights_are_fingerprinted_once(folder: Path) -> None:
    known: dict[str, FileFacts] = {}
    store = open_store(str(folder))

    def fingerprint(store: Store, file: FileInfo) -> str:
        return fingerprint_of(store, file, known)

    first = read_checkpoint(store, fingerprint)
    ((key, facts),) = known.items()
    assert facts.digest == first.weights_sha256
    known[key] = FileFacts("what is known is not read again")
    assert read_checkpoint(store, fingerprint).weights_sha256 == "what is known is not read again"


# Damage. Each message names the file; what stands in a parameter must stand in it too.


def cut(folder: Path) -> None:
    file = folder / WEIGHTS_FILE
    file.write_bytes(file.read_bytes()[:-1000])


def header(body: bytes, length: int | None = None) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        size = len(body) if length is None else length
        (folder / WEIGHTS_FILE).write_bytes(struct.pack("<Q", size) + body)

    return write


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def with_weights(data: bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / WEIGHTS_FILE).write_bytes(data)

    return write


@pytest.mark.parametrize(
    ("damage", "name", "said"),
    [
        (without(WEIGHTS_FILE), WEIGHTS_FILE, "does not exist"),
        (without(CONFIG_FILE), CONFIG_FILE, "does not exist"),
        (cut, WEIGHTS_FILE, "cut short: its header promises "),
        (with_weights(b""), WEIGHTS_FILE, "0 bytes are not a safetensors file"),
        (with_weights(b"short"), WEIGHTS_FILE, "5 bytes are not a safetensors file"),
        (with_weights(b"PK\x03\x04 a .pth file, which is a zip archive"), WEIGHTS_FILE, "not a safetensors file"),
        (header(b"{}", 10**6), WEIGHTS_FILE, "header of 1000000 bytes in 10 bytes"),
        (header(b""), WEIGHTS_FILE, "its header is not readable"),
        (header(b"not JSON"), WEIGHTS_FILE, "its header is not readable"),
        (header(b"\xff\xfe\x00"), WEIGHTS_FILE, "its header is not readable"),
        (header(b"[1, 2]"), WEIGHTS_FILE, "its header is not readable"),
        (header(b'{"G0.a": 5}'), WEIGHTS_FILE, "its header is not readable"),
        (header(b'{"G0.a": {"shape": [2]}}'), WEIGHTS_FILE, "its header is not readable"),
        (header(b'{"G0.a": {"shape": [2], "data_offsets": [0]}}'), WEIGHTS_FILE, "its header is not readable"),
        (lambda folder: (folder / CONFIG_FILE).write_text("{"), CONFIG_FILE, "Invalid JSON"),
        (lambda folder: (folder / CONFIG_FILE).write_bytes(b"\xff\x00"), CONFIG_FILE, "not a generator config"),
        (lambda folder: edit_config(folder, n_block=3), CONFIG_FILE, "n_block: unknown field; did you mean"),
        (lambda folder: edit_config(folder, ngf=0), CONFIG_FILE, "ngf: "),
        (lambda folder: edit_config(folder, ngf=3), CONFIG_FILE, "ngf 3 must be divisible by 2 for 2 scales"),
        (
            lambda folder: edit_config(folder, fg_labels=[35]),
            CONFIG_FILE,
            "fg_labels [35] outside the label",
        ),
    ],
)
def test_a_damaged_checkpoint_is_refused(folder: Path, damage: Any, name: str, said: str) -> None:
    damage(folder)
    with pytest.raises(CheckpointError) as caught:
        read(folder)
    assert str(folder / name) in str(caught.value)
    assert said in str(caught.value)


def test_a_folder_that_is_no_checkpoint_says_what_one_holds(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds config\.json and model\.safetensors; `bundled` is"):
        read(tmp_path / "nowhere")


def test_other_weights_than_the_architecture_has_are_listed(folder: Path) -> None:
    def change(weights: dict[str, torch.Tensor]) -> None:
        del weights["G0.model_final_w.1.bias"]
        weights["G9.model_final_w.1.bias"] = torch.zeros(1)
        weights["G1.model_final_img.1.bias"] = torch.zeros(4)

    edit_weights(folder, change)
    checkpoint = read(folder)
    for refuse in (lambda: check_weights(checkpoint), lambda: load_generator(checkpoint, "cpu")):
        with pytest.raises(CheckpointError) as caught:
            refuse()
        assert str(caught.value).splitlines() == [
            f"{folder}: weights do not match config.json",
            "  1 missing",
            "    G0.model_final_w.1.bias (renamed? the file has G9.model_final_w.1.bias)",
            "  1 not in the network",
            "    G9.model_final_w.1.bias",
            "  1 of another shape",
            "    G1.model_final_img.1.bias: (4,) here, (3,) in the network",
        ]


def test_a_saved_checkpoint_says_what_it_fits(folder: Path) -> None:
    """...so that planning need not build networks; a config that was changed since does not fit it any more."""
    checkpoint = read(folder)
    assert checkpoint.layout == layout_of(checkpoint.config, checkpoint.shapes)
    edit_config(folder, size=[64, 32])
    check_weights(read(folder))
    assert isinstance(checkpoint.config, GeneratorConfig)
    edit_config(folder, n_blocks=checkpoint.config.n_blocks + 1)
    with pytest.raises(CheckpointError, match=r"weights do not match config\.json"):
        check_weights(read(folder))


def test_long_lists_are_cut(folder: Path) -> None:
    edit_config(folder, fg_labels=[])  # now the whole foreground branch is too much
    with pytest.raises(CheckpointError, match=r"(?m)^  \d\d not in the network\n(    G\S+\n){10}    and \d\d more$"):
        check_weights(read(folder))


def test_a_whole_file_with_a_lying_header_is_refused(folder: Path) -> None:
    """Lengths add up, yet entries overlap: what the quick look cannot see, loading must."""
    file = folder / WEIGHTS_FILE
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    tree = json.loads(data[8 : 8 + length])
    tree["G0.indv_down.2.bias"]["data_offsets"] = tree["G0.indv_down.2.weight"]["data_offsets"]
    body = json.dumps(tree).encode()
    file.write_bytes(struct.pack("<Q", len(body)) + body + data[8 + length :])
    with pytest.raises(CheckpointError, match="model.safetensors"):
        load(folder)


# What it is asked to render


def test_a_fitting_size_and_label_space_pass(folder: Path) -> None:
    for size in ((64, 32), (16, 16), (72, 40)):
        check_fits(read(folder), STREET, size)


@pytest.mark.parametrize(
    ("size", "nearest"),
    [
        ((66, 32), "are 64x32 and 72x32"),
        ((64, 30), "are 64x24 and 64x32"),
        ((64, 8), "are 64x16"),
        ((500, 333), "are 496x328 and 504x336"),
    ],
)
def test_a_size_that_does_not_halve_is_refused_with_the_nearest(
    folder: Path, size: tuple[int, int], nearest: str
) -> None:
    with pytest.raises(CheckpointError) as caught:
        check_fits(read(folder), STREET, size)
    message = str(caught.value)
    assert message.startswith(f"generator.size [{size[0]}, {size[1]}] with ")
    assert f"size {size[0]}x{size[1]} (width x height) does not fit the networks" in message
    assert message.endswith(f"both must be multiples of 8, at least 16; the nearest {nearest}")


def test_a_side_that_quality_cannot_be_measured_at_is_refused(tmp_path: Path) -> None:
    """Networks that halve once would render 4x4."""
    config = GeneratorConfig(ngf=2, n_downsample=1, n_blocks=2)
    config.check_size(4, 4)
    save_checkpoint(open_store(str(tmp_path)), VideoGenerator(config))
    check_fits(read(tmp_path), STREET, (16, 18))
    with pytest.raises(CheckpointError, match="multiples of 2, at least 16; the nearest are 32x16$"):
        check_fits(read(tmp_path), STREET, (32, 14))


def test_the_smallest_size_that_is_let_through_renders(folder: Path) -> None:
    from flowreel.pipeline.generator.clip_data import Conditioning
    from flowreel.pipeline.generator.clips import RenderOptions, render_clips
    from flowreel.pipeline.generator.engine import engine_for
    from flowreel.pipeline.sources.scenes import street_scene

    scene = street_scene(0, 2, (32, 32))
    small = Conditioning(scene.label_THW[:, :16, :16], scene.instance_THW[:, :16, :16])
    check_fits(read(folder), STREET, (16, 16))
    assert render_clips(engine_for(load(folder)), [small], RenderOptions())[0].image_THW3.shape == (2, 16, 16, 3)


def test_another_label_space_is_refused_with_the_way_out(folder: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        check_fits(read(folder), BUILT_IN["camvid11"], (64, 32))
    message = str(caught.value)
    assert "renders label space 'cityscapes', but source.label_space is 'camvid11'" in message
    assert "set source.label_space: cityscapes and map the source's ids to it with source.remap" in message


def test_ids_beyond_the_label_channels_are_refused(folder: Path) -> None:
    more = (*STREET.classes, LabelClass(id=35, name="drone", color=(1, 2, 3)))
    space = LabelSpace(name="cityscapes", classes=more)
    with pytest.raises(CheckpointError, match=r"has ids \[35\], but the generator .* knows 0\.\.34"):
        check_fits(read(folder), space, (64, 32))
