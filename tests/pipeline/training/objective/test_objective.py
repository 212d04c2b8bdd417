"""The objective's rules that reference runs do not show: who learns from what, what is left out, what is remembered."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from flowreel.pipeline.training.objective.generate import generate
from flowreel.pipeline.training.objective.losses import feature_matching, gan
from flowreel.pipeline.training.objective.objective import ChunkOptions, start
from flowreel.pipeline.training.step import add_gradients

from ..small import JUDGES, Walk, walk

pytestmark = pytest.mark.usefixtures("one_thread")
IMAGE = {"G_GAN", "G_GAN_Feat", "D_real", "D_fake"}


def gradients(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def total_gradient(walk: Walk, loads: int = 1, how: ChunkOptions | None = None) -> dict[str, Tensor]:
    """Of the last load."""
    losses, _ = walk.loads(loads, how=how)[-1]
    add_gradients(losses, walk.networks)
    return gradients(walk.networks)


@pytest.mark.parametrize("matching", [10.0, 0.0])
def test_looking_once_gives_the_gradients_of_looking_twice(matching: float) -> None:
    """Only G_GAN and G_GAN_Feat, and D's loss, written down as the original does them."""
    alone = {"flow": 0, "warp": 0, "temporal": 0, "feature_matching": matching}
    shared = total_gradient(walk(**alone))
    plain = walk(**alone)
    networks, real = plain.networks, plain.clip.real_T3HW[2:4]
    encoded = plain.clip.encoded(0, 4, networks.generator.config)
    _, made = generate(networks.generator, start(networks, plain.clip).state, encoded, 1, finest_only=False)

    def seen(image: Tensor) -> list[list[Tensor]]:
        return networks.D(torch.cat((encoded[2:], image), dim=1))

    fakes = (made.image_T3HW, made.raw_T3HW)
    generator = sum(gan(seen(fake), 1) for fake in fakes)
    generator += sum(matching * 4 / 3 * feature_matching(seen(fake), seen(real)) for fake in fakes)
    own = sum(gan(seen(real), 1) + gan(seen(fake.detach()), 0) for fake in fakes) / 2
    generator.backward()
    networks.D.zero_grad()
    own.backward()
    wanted = gradients(networks)
    assert set(shared) >= {name for name in wanted if name.startswith("D.")} != set()
    for name, gradient in wanted.items():
        torch.testing.assert_close(shared[name], gradient, rtol=1e-3, atol=1e-5, msg=name)


def test_without_adversarial_weight_no_discriminator_is_asked() -> None:
    for here, how in ((walk(), ChunkOptions(adversarial=0)), (walk(adversarial=0, temporal=0), ChunkOptions())):
        for network in here.networks.discriminators().values():
            network.forward = None  # calling it would fail
        losses, _ = here.loads(2, how=how)[-1]
        assert losses.image is None and losses.temporal == ()
        assert set(losses.terms) == {"L1", "G_Warp", "F_Flow", "F_Warp"}
        add_gradients(losses, here.networks)


def test_weights_of_zero_leave_terms_out() -> None:
    losses, _ = walk(flow=0, warp=0, feature_matching=0).loads(1)[0]
    assert set(losses.terms) == {"L1", "G_GAN", "D_real", "D_fake"} | {
        f"{n}0" for n in ("G_T_GAN", "D_T_real", "D_T_fake")
    }


def test_the_ramp_scales_what_the_generator_hears_and_not_what_is_logged() -> None:
    full, half = (walk(flow=0, warp=0).loads(1, how=ChunkOptions(adversarial=share))[0][0] for share in (1, 0.5))
    torch.testing.assert_close(half.generator, full.generator / 2)
    assert half.terms == full.terms and half.image == full.image and half.temporal == full.temporal


def test_each_kind_of_discriminator_has_its_weight() -> None:
    image, motion = walk(temporal=0).loads(1)[0][0], walk(adversarial=0).loads(1)[0][0]
    assert set(image.terms) >= IMAGE and "G_T_GAN0" not in image.terms and image.temporal == ()
    assert "G_T_GAN0" in motion.terms and not IMAGE & set(motion.terms) and motion.image is None


def test_reconstruction_is_always_logged_and_counts_by_its_weight() -> None:
    without, with_ = (walk(reconstruction=weight).loads(1)[0][0] for weight in (0, 3))
    assert without.terms["L1"] == with_.terms["L1"] > 0
    torch.testing.assert_close(with_.generator, without.generator + 3 * without.terms["L1"])


def test_the_blend_weight_is_kept_low_only_where_clips_start_empty() -> None:
    assert all("W" not in losses.terms for losses, _ in walk().loads(2))
    assert all("W" in losses.terms for losses, _ in walk(starts_empty=True).loads(2))


def test_the_first_load_of_an_empty_clip_is_not_blended() -> None:
    here = walk(starts_empty=True)
    memory = start(here.networks, here.clip)
    _, memory, first = here.objective(here.networks, here.clip, range(2, 4), memory, ChunkOptions())
    _, _, second = here.objective(here.networks, here.clip, range(4, 6), memory, ChunkOptions())
    assert torch.equal(first.image_T3HW, first.raw_T3HW) and not torch.equal(second.image_T3HW, second.raw_T3HW)


def test_no_gradient_reaches_an_earlier_load() -> None:
    for _, memory in walk().loads(3):
        tensors = (*memory.state.history, memory.last_13HW, *memory.past.values())
        assert memory.past and not any(tensor.requires_grad for tensor in tensors)


def test_gradients_flow_back_as_many_frames_as_asked() -> None:
    short, long = (total_gradient(walk(), how=ChunkOptions(backprop=frames)) for frames in (1, 2))
    name = "generator.G0.model_down_seg.1.weight"
    assert not torch.allclose(short[name], long[name], rtol=1e-2)
    assert torch.equal(short["D.scale0_layer0.0.weight"], long["D.scale0_layer0.0.weight"])


def test_finest_only_leaves_coarser_scales_alone() -> None:
    here = walk(scales=2)
    found = total_gradient(here, how=ChunkOptions(finest_only=True))
    assert any(name.startswith("generator.G1.") for name in found)
    assert not any(name.startswith("generator.G0.") for name in found)
    assert all(p.requires_grad for p in here.networks.parameters())


def test_the_finest_scale_learns_the_same_whether_or_not_it_is_alone() -> None:
    alone, together = (total_gradient(walk(scales=2), how=ChunkOptions(finest_only=only)) for only in (True, False))
    for name in alone:
        torch.testing.assert_close(alone[name], together[name], rtol=1e-3, atol=1e-5)


def test_losses_are_float32_and_nearly_the_same_in_reduced_precision() -> None:
    exact, _ = walk().loads(1)[0]
    with torch.autocast("cpu", torch.bfloat16):
        reduced, _ = walk().loads(1)[0]
    assert {value.dtype for value in (reduced.generator, reduced.image, *reduced.temporal)} == {torch.float32}
    for name, value in exact.terms.items():
        torch.testing.assert_close(reduced.terms[name], value, rtol=0.1, atol=0.02, msg=name)


def test_sparse_time_scales_take_neighbours_flow() -> None:
    """Nobody is asked for flow between frames that are not neighbours."""

    def refuse(*_: Tensor) -> tuple[Tensor, Tensor]:
        raise AssertionError("asked")

    here = walk(JUDGES.model_copy(update={"sparse": True}))
    here = replace(here, objective=replace(here.objective, flow=refuse))
    assert len(here.loads(2)[-1][0].temporal) == 2
    dense = walk()
    with pytest.raises(AssertionError, match="asked"):
        replace(dense, objective=replace(dense.objective, flow=refuse)).loads(2)
