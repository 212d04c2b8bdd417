"""The spec of `flowreel train`: one YAML file that says what to learn from, what to build and how long to train.

Defaults are the original's (vid2vid, and the option names of its training scripts in the descriptions).
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from flowreel.schemas.edit import ClassKey
from flowreel.schemas.model import Model
from flowreel.schemas.numbers import Seconds, Weight
from flowreel.schemas.spec import Fraction, Natural, Positive, SourceSpec
from flowreel.schemas.training_data import DataSpec, TrainSourceSpec

Width = Annotated[int, Field(ge=2, le=4096, strict=True)]  # channels
Widths = Annotated[tuple[Width, ...], Field(min_length=3, max_length=8)]
VID2VID = frozenset({"ngf", "n_downsample", "n_blocks", "n_blocks_local", "n_scales", "flow", "foreground"})
ADAPTIVE = frozenset({"features", "widths", "style", "motion"})  # what only this family has


class NetworkSpec(Model):
    """The generator's architecture; what the label space decides is not asked."""

    architecture: Literal["vid2vid", "adaptive"] = Field("vid2vid", description="the family of networks")
    init: str | None = Field(None, description="a checkpoint to start from; its architecture must be this one")
    ngf: Positive = Field(128, description="width of the coarsest scale; halved at each finer one")
    n_downsample: Positive = Field(3, description="stride-2 steps of the coarsest scale")
    n_blocks: Positive = Field(9, description="residual blocks of the coarsest scale")
    n_blocks_local: Positive = Field(3, description="residual blocks of finer scales")
    n_frames: Annotated[int, Field(ge=2, le=1000, strict=True)] = Field(
        3, description="frames seen at once (n_frames_G)"
    )
    n_scales: Positive = Field(1, description="spatial scales (n_scales_spatial)")
    flow: bool = Field(True, description="warp the last frame by an estimated flow; false: no_flow")
    instances: bool = Field(True, description="an edge channel of label maps: outlines of instances (use_instance)")
    foreground: tuple[ClassKey, ...] = Field((), description="classes with a branch of their own (fg_labels)")
    features: Widths = Field(
        (32, 48, 64, 96, 128, 128), description="adaptive: channels that labels become, per scale of size 1, 1/2, ..."
    )
    widths: Widths = Field((32, 64, 128, 256, 256, 256), description="adaptive: channels of the decoder, per scale")
    style: Annotated[int, Field(ge=1, le=256, strict=True)] = Field(
        16, description="adaptive: numbers that say what a clip looks like"
    )
    motion: Annotated[int, Field(ge=2, le=256, strict=True)] = Field(
        32, description="adaptive: channels of the motion network"
    )
    description: str = Field("", description="a line for the checkpoint's config")

    @model_validator(mode="after")
    def _one_family(self) -> Self:
        other = VID2VID if self.architecture == "adaptive" else ADAPTIVE
        if foreign := sorted(other & self.model_fields_set):
            raise ValueError(f"{', '.join(foreign)}: not of the architecture '{self.architecture}'; leave it out")
        if len(self.features) != len(self.widths):
            raise ValueError(f"features has {len(self.features)} scales, widths {len(self.widths)}; both must be equal")
        return self


class DiscriminatorSpec(Model):
    """The networks that tell real frames from made ones."""

    members: Natural = Field(2, description="image sizes that are judged (num_D); 0: no such discriminators")
    layers: Positive = Field(3, description="n_layers_D")
    width: Positive = Field(64, description="ndf")
    temporal_scales: Natural = Field(2, description="n_scales_temporal; 0: no temporal discriminators")
    temporal_frames: Annotated[int, Field(ge=2, le=1000, strict=True)] = Field(
        3, description="frames judged together (n_frames_D)"
    )
    sparse: bool = Field(False, description="sparse_D: frames of coarser time scales from further loads")
    face: bool = Field(False, description="one more for faces, of pose pictures (add_face_disc)")
    segmentation: bool = Field(
        False, description="a critic that segments images, with a class for made pixels (OASIS), on frozen features"
    )

    @model_validator(mode="after")
    def _something_judges(self) -> Self:
        if not self.members and (self.face or self.temporal_scales or not self.segmentation):
            raise ValueError("members: 0 needs segmentation: true, temporal_scales: 0 and no face discriminator")
        return self


class LossSpec(Model):
    """Weights of the objective's parts; 0 leaves one out."""

    adversarial: Weight = 1.0
    adversarial_ramp: tuple[Natural, Natural] = Field(
        (0, 0), description="epochs between which adversarial terms grow from 0 to full weight"
    )
    temporal: Weight = Field(1.0, description="of the temporal discriminators' terms")
    feature_matching: Weight = Field(10.0, description="lambda_feat")
    perceptual: Weight = Field(10.0, description="lambda_feat of the VGG term; needs perceptual_weights")
    perceptual_weights: str | None = Field(
        None, description="weights file of torchvision's VGG19 or VGG16, of EfficientNet-Lite2, or of a segmenter"
    )
    perceptual_every: Positive = Field(1, description="steps from one with the perceptual term to the next")
    segmentation: Weight = Field(1.0, description="of the segmentation critic's term")
    segmentation_features: Weight = Field(1.0, description="of differences in the frozen features that it sees")
    segmentation_weights: str | None = Field(
        None, description="weights file of EfficientNet-Lite2, whose features the segmentation critic sees"
    )
    flow: Weight = Field(10.0, description="lambda_F")
    warp: Weight = Field(10.0, description="lambda_T")
    mask: Weight = Field(1.0, description="of the blend weight, where a clip starts from nothing (term W)")
    reconstruction: Weight = Field(
        0.0, description="of the mean absolute difference, blended and raw images alike; not in the original"
    )


class ScheduleSpec(Model):
    """The schedule: how long to train, how clips grow, what is trained when (vid2vid-spec, sections 10.2 and 10.6)."""

    epochs: Positive = Field(10, description="at the full learning rate (niter)")
    decay_epochs: Natural = Field(10, description="falling to 0 (niter_decay)")
    double_every: Positive = Field(5, description="epochs after which clips get twice as long (niter_step)")
    finest_only: Natural = Field(0, description="first epochs in which only the finest scale learns (niter_fix_global)")
    epoch_clips: Positive | None = Field(
        None, description="clips, or batches of stills, per epoch; default: one per sequence"
    )
    clip_frames: Positive = Field(30, description="frames of a clip at first (n_frames_total)")
    load_frames: Positive = Field(1, description="frames per optimisation step (max_frames_per_gpu)")
    backprop_frames: Positive = Field(1, description="most frames that gradients flow back (max_frames_backpropagate)")
    max_stride: Positive = Field(1, description="most frames from one to the next (max_t_step)")
    empty_start: Fraction = Field(0.0, description="share of clips that start without a first frame (1: no_first_img)")
    stills: Annotated[int, Field(ge=1, le=1024, strict=True)] = Field(
        4, description="stills per worker and step, each made from nothing"
    )
    moving_stills: Fraction = Field(
        0.3, description="share of the rounds of stills in which each becomes a clip by a moving camera"
    )
    half_size: Natural = Field(
        0, description="adaptive: first images, all made from nothing, that are learnt at half the size"
    )
    clips_from: Natural = Field(0, description="images that are learnt from nothing before clips join")


class OptimiserSpec(Model):
    """How gradients become steps."""

    lr: Annotated[float, Field(gt=0, lt=1)] = 2e-4
    beta1: Fraction = 0.5
    ttur: bool = Field(False, description="Adam betas (0, 0.9), generator at lr / 2, image discriminators at 2 lr")
    accumulate: Positive = Field(1, description="clips per worker whose gradients are averaged for one step")
    ema: Annotated[float, Field(ge=0, lt=1)] = Field(0.998, description="decay of the averaged weights that are saved")
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    seed: Natural = 0


class SavingSpec(Model):
    """What is written during training, and how often, in optimisation steps."""

    every: Positive = Field(500, description="steps between states from which training can resume")
    keep: Positive = Field(2, description="how many newest states are kept")
    log_every: Positive = Field(20, description="steps between lines of log.jsonl and TensorBoard")
    samples_every: Positive = Field(1000, description="steps between sample videos (label | render | real | flow)")


class TrainExecutionSpec(Model):
    """The workers of Ray Train; each holds all networks and walks clips of its own."""

    workers: Positive = 1
    num_gpus: Annotated[float, Field(ge=0, le=1)] = Field(1, description="GPUs per worker; 0: CPU")
    num_cpus: Positive = Field(2, description="CPUs per worker")
    max_failures: Natural = Field(
        3, description="how often a worker that died is replaced; training resumes from the newest state"
    )
    placement_timeout_s: Seconds = Field(
        900,
        description="seconds to wait until a cluster has room for all workers, as autoscalers take minutes; then the"
        " command ends and says what it asked for and what the nodes have",
    )


class TrainSpec(Model):
    """A whole training run."""

    output: str = Field(min_length=1, description="folder or bucket URL of the run; the checkpoint appears there")
    source: SourceSpec | None = Field(None, description="paired video; source.images must be given")
    sources: tuple[TrainSourceSpec, ...] = Field((), description="or several sources, of stills and of video")
    dataset: str | None = Field(None, description="or a published dataset, DATASET or DATASET@N")
    data: DataSpec = DataSpec()
    generator: NetworkSpec = NetworkSpec()
    discriminators: DiscriminatorSpec = DiscriminatorSpec()
    losses: LossSpec = LossSpec()
    schedule: ScheduleSpec = ScheduleSpec()
    optimiser: OptimiserSpec = OptimiserSpec()
    saving: SavingSpec = SavingSpec()
    execution: TrainExecutionSpec = TrainExecutionSpec()
    # Kept out of repr, dumps and records: it may hold secrets.
    storage_options: dict[str, Any] = Field({}, repr=False, exclude=True, description="given to fsspec, never stored")

    @property
    def every_source(self) -> tuple[SourceSpec, ...]:
        """Gives the source or the sources; none of a dataset."""
        return (self.source,) if self.source else self.sources

    @field_validator("source", "sources")
    @classmethod
    def _paired(cls, given: Any) -> Any:
        for source in given if isinstance(given, tuple) else (given,):
            if source is not None and source.dataset is not None:
                raise ValueError("a published dataset is trained on as dataset, not source.dataset")
            if source is not None and source.images is None:
                raise ValueError("images: training needs real frames; for example images: '{sequence}/images/*.jpg'")
        return given

    def source_options(self, source: SourceSpec) -> dict[str, Any]:
        """Gives the storage options of a source's files."""
        return self.storage_options if source.storage_options is None else source.storage_options

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum((self.source is not None, bool(self.sources), self.dataset is not None)) != 1:
            raise ValueError("give one of source (folders of paired frames), sources, or dataset (a published one)")
        for number, source in enumerate(self.sources):
            if source.kind != "labels" or source.label_space != self.sources[0].label_space:
                raise ValueError(f"sources.{number}: several sources must be label maps of one label space")
        self._check_critic()
        asked = "perceptual" in self.losses.model_fields_set and self.losses.perceptual > 0
        if asked and self.losses.perceptual_weights is None:
            raise ValueError("losses.perceptual needs losses.perceptual_weights (a file; nothing is downloaded)")
        return self

    def _check_critic(self) -> None:
        if self.discriminators.segmentation != (self.losses.segmentation_weights is not None):
            raise ValueError(
                "discriminators.segmentation and losses.segmentation_weights go together: a file; nothing is downloaded"
            )
        if self.schedule.half_size and self.generator.architecture != "adaptive":
            raise ValueError("schedule.half_size: only the adaptive architecture learns at half the size; set it to 0")
