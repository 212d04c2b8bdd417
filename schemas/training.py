"""The spec of `flowreel train`: one YAML file that says what to learn from, what to build and how long to train.

Defaults are the original's (vid2vid, and the option names of its training scripts in the descriptions).
"""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from flowreel.schemas.edit import ClassKey
from flowreel.schemas.model import Model
from flowreel.schemas.numbers import Weight
from flowreel.schemas.spec import Fraction, Natural, Positive, Side, SourceSpec


class DataSpec(Model):
    """How frames are prepared before a network sees them."""

    size: tuple[Side, Side] = Field((512, 256), description="width, height that frames are resized to")
    crop: tuple[Side, Side] | None = Field(None, description="width, height of a random crop; one per clip")
    flip: Fraction = Field(0.5, description="share of clips that are mirrored, as a whole")
    hold_out: tuple[str, ...] = Field((), description="sequences that are not trained on, for samples and evaluation")
    flow: Literal["dis", "raft"] = Field("dis", description="reference flow: OpenCV's DIS, or RAFT from flow_weights")
    flow_weights: str | None = Field(None, description="weights file of torchvision's RAFT (large)")

    @model_validator(mode="after")
    def _weights_for_raft(self) -> Self:
        if (self.flow == "raft") != (self.flow_weights is not None):
            raise ValueError("flow: raft and flow_weights (a local weights file) go together; nothing is downloaded")
        return self


class NetworkSpec(Model):
    """The generator's architecture; what the label space decides is not asked."""

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
    description: str = Field("", description="a line for the checkpoint's config")


class DiscriminatorSpec(Model):
    """The networks that tell real frames from made ones."""

    members: Positive = Field(2, description="image sizes that are judged (num_D)")
    layers: Positive = Field(3, description="n_layers_D")
    width: Positive = Field(64, description="ndf")
    temporal_scales: Natural = Field(2, description="n_scales_temporal; 0: no temporal discriminators")
    temporal_frames: Annotated[int, Field(ge=2, le=1000, strict=True)] = Field(
        3, description="frames judged together (n_frames_D)"
    )
    sparse: bool = Field(False, description="sparse_D: frames of coarser time scales from further loads")
    face: bool = Field(False, description="one more for faces, of pose pictures (add_face_disc)")


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
    epoch_clips: Positive | None = Field(None, description="clips per epoch; default: one per sequence")
    clip_frames: Positive = Field(30, description="frames of a clip at first (n_frames_total)")
    load_frames: Positive = Field(1, description="frames per optimisation step (max_frames_per_gpu)")
    backprop_frames: Positive = Field(1, description="most frames that gradients flow back (max_frames_backpropagate)")
    max_stride: Positive = Field(1, description="most frames from one to the next (max_t_step)")
    empty_start: Fraction = Field(0.0, description="share of clips that start without a first frame (1: no_first_img)")


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

    @field_validator("source")
    @classmethod
    def _paired(cls, source: SourceSpec | None) -> SourceSpec | None:
        if source is not None and source.images is None:
            raise ValueError("images: training needs real frames; for example images: '{sequence}/images/*.jpg'")
        return source

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.source is None) == (self.dataset is None):
            raise ValueError("give either source (folders of paired frames) or dataset (a published one)")
        asked = "perceptual" in self.losses.model_fields_set and self.losses.perceptual > 0
        if asked and self.losses.perceptual_weights is None:
            raise ValueError("losses.perceptual needs losses.perceptual_weights (a file; nothing is downloaded)")
        return self
