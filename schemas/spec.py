"""The spec: one YAML file that says what to render from where to where. Printed as JSON Schema by `flowreel schema`."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from flowreel.schemas.edit import needs_instances
from flowreel.schemas.model import Model, OwnOptions
from flowreel.schemas.numbers import Fraction, Gpus, Natural, Positive, Seconds, Seed, Side
from flowreel.schemas.quality import QualitySpec
from flowreel.schemas.source import SourceSpec
from flowreel.schemas.template import SEQUENCE
from flowreel.schemas.variants import GENERATE, Balance, Matrix, Rule, Variant, or_rule

__all__ = ["GENERATE", "GRACE_H", "SEQUENCE", "Fraction", "Natural", "Positive", "Side", "SourceSpec", "Spec"]

Workers = Annotated[int, Field(ge=1, le=100_000, strict=True)]
LEAST_GPU = 0.01  # of one GPU, that a worker takes
GRACE_H = 72.0  # a weekend: interrupted runs can resume, readers finish what they have opened


class DatasetSpec(Model):
    """The dataset in which versions are published."""

    uri: str = Field(min_length=1, description="folder (relative: to where the command runs) or bucket URL")
    name: str = Field("", description="for people; default: the last part of the uri")
    license: str = Field("unknown", description="for the card: an SPDX or Hugging Face identifier, or a text's URL")
    keep_versions: Positive = Field(5, description="how many newest versions retention keeps")
    report: bool = Field(True, description="leave a report of each version beside its manifest: report/index.html")
    storage_options: OwnOptions = None

    @property
    def title(self) -> str:
        """Gives the name for people."""
        return self.name or self.uri.rstrip("/").rsplit("/", 1)[-1]


class GeneratorSpec(Model):
    """The generator that renders, and its settings."""

    checkpoint: str = Field("bundled", description="`bundled`, or folder / URL of a checkpoint directory")
    size: tuple[Side, Side] | None = Field(
        None, description="width, height of the frames; default: the size the checkpoint was trained at"
    )
    batch: Positive | Literal["auto"] = Field("auto", description="clips rendered in lock-step")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: that of the dataset's newest version; of a first one, what this machine is fast at"
    )
    storage_options: OwnOptions = None


class ClipsSpec(Model):
    """How sequences are split into clips."""

    frames: Natural = Field(30, description="label frames per clip; 0: the whole sequence")
    stride: Positive | None = Field(None, description="frames from one clip's start to the next; default: `frames`")
    seed: Seed = 0
    lead_in: Literal["repeat", "drop"] = Field(
        "repeat", description="repeat: every label frame gets an image; drop: the first T-1 get none, as in vid2vid"
    )

    @model_validator(mode="after")
    def _stride_of_whole_sequences(self) -> Self:
        if self.frames == 0 and self.stride is not None:
            raise ValueError(f"stride {self.stride} means nothing with frames 0 (whole sequences); leave it out")
        return self


class OutputSpec(Model):
    """What is published per frame."""

    image_codec: Literal["jpeg", "png", "webp"] = "jpeg"
    image_quality: Annotated[int, Field(ge=1, le=100)] = Field(92, description="of jpeg and webp")
    instances: bool = Field(True, description="publish instance maps where the source has them")
    flow: bool = Field(False, description="publish backward flow (16-bit PNG); costs about 10x an image")
    depth: bool = Field(False, description="of procedural scenes: publish depth in centimetres (16-bit PNG)")


class FailureSpec(Model):
    """How many failures a run tolerates."""

    max_attempts: Positive = Field(3, description="tries per clip before it counts as failed")
    max_failed_fraction: Fraction = Field(0.01, description="of the run's clips; above it nothing is published")
    max_dropped_fraction: Fraction = Field(
        0.1,
        description="of the newest version's clips that may go without a successor, as when sequences are removed;"
        " above it nothing is rendered or published",
    )
    stall_s: Annotated[Seconds, Field(ge=0.001)] = Field(
        900, description="seconds without a frame or a finished shard after which a worker counts as hung and is killed"
    )
    retry_failed: bool = Field(
        False, description="render clips again that failed in the newest version or an unfinished run"
    )


class ExecutionSpec(Model):
    """The resources of each worker, and how many workers there may be.

    None of it is part of a clip's identity; but whether there is a GPU at all resolves `precision: auto` of a first
    version, which is.
    """

    num_gpus: Gpus = Field(1, description="GPUs per worker; fractions share one; 0: CPU")
    num_cpus: Positive = Field(2, description="CPUs per worker")
    workers: tuple[Workers, Workers] = Field((1, 8), description="least and most workers")
    grace_s: Seconds = Field(25, description="seconds that shards in flight get to finish after SIGTERM")
    placement_timeout_s: Seconds = Field(
        900,
        description="seconds to wait until a cluster has room for a worker, as autoscalers take minutes; then the run"
        " ends and says what it asked for and what the nodes have",
    )
    checkpoint_frames: Positive = Field(
        1000, description="clips longer than this are saved after every so many frames, and resume there"
    )

    @field_validator("workers")
    @classmethod
    def _ordered(cls, workers: tuple[int, int]) -> tuple[int, int]:
        if workers[0] > workers[1]:
            raise ValueError(f"least {workers[0]} is above most {workers[1]}; for example [1, {workers[0]}]")
        return workers

    @field_validator("num_gpus")
    @classmethod
    def _whole_above_one(cls, gpus: float) -> float:
        if 0 < gpus < LEAST_GPU:
            raise ValueError(f"{gpus:g} is too small a part of a GPU; give 0 for none, or at least {LEAST_GPU:g}")
        if gpus > 1 and gpus != int(gpus):
            raise ValueError(f"{gpus} must be a whole number above 1, or a fraction of one GPU below it")
        return gpus


class Spec(Model):
    """A whole job."""

    model_config = ConfigDict(json_schema_extra=or_rule)

    dataset: DatasetSpec
    source: SourceSpec
    generator: GeneratorSpec = GeneratorSpec()
    clips: ClipsSpec = ClipsSpec()
    variants: tuple[Variant, ...] = (Variant(),)
    variants_by: Rule | None = Field(
        None, description="what `variants` says if it is a mapping: a rule that gives the variants when planning"
    )
    output: OutputSpec = OutputSpec()
    split: dict[str, Fraction] = Field({"train": 0.9, "val": 0.1}, description="share of sequences per split")
    quality: QualitySpec = QualitySpec()
    failure: FailureSpec = FailureSpec()
    execution: ExecutionSpec = ExecutionSpec()
    # Kept out of repr, dumps and records: it may hold secrets.
    storage_options: dict[str, Any] = Field(
        {},
        repr=False,
        exclude=True,
        description="given to fsspec, never stored; source, dataset and generator may have their own",
    )

    @model_validator(mode="before")
    @classmethod
    def _rule(cls, tree: Any) -> Any:
        if isinstance(tree, dict) and isinstance(tree.get("variants"), dict):
            rest = {name: value for name, value in tree.items() if name != "variants"}
            return rest | {"variants_by": tree["variants"]}
        return tree

    @field_validator("split")
    @classmethod
    def _sums_to_one(cls, split: dict[str, float]) -> dict[str, float]:
        if not split or abs(sum(split.values()) - 1) > 1e-6:
            raise ValueError(f"shares sum to {sum(split.values()):g}, must be 1; for example train: 0.9, val: 0.1")
        return split

    @model_validator(mode="after")
    def _edits_have_maps(self) -> Self:
        lists = self.variants_by.edits if isinstance(self.variants_by, Matrix) else self.variants
        edited = isinstance(self.variants_by, Balance) or any(one.edits for one in lists)
        if self.source.kind in ("pose", "face") and edited:
            raise ValueError(f"variants: edits change label maps, and a {self.source.kind} is drawn from points")
        return self

    @model_validator(mode="after")
    def _depth_is_known(self) -> Self:
        if self.output.depth and not self.source.procedural:
            raise ValueError("output.depth: only procedural scenes have depth; leave it out")
        return self

    @model_validator(mode="after")
    def _distinct_variants(self) -> Self:
        if not self.variants:
            raise ValueError("variants: empty; for example variants: [{style: generate}], or leave it out")
        seen: dict[str, int] = {}
        for index, variant in enumerate(self.variants):
            key = variant.model_copy(update={"seed": self.seed_of(variant)}).model_dump_json()
            if key in seen:
                raise ValueError(f"variants[{index}] repeats variants[{seen[key]}]; remove one or change its seed")
            seen[key] = index
        return self

    @property
    def source_options(self) -> dict[str, Any]:
        """Gives the storage options of the source's files, its label space among them."""
        own = self.source.storage_options
        return self.storage_options if own is None else own

    @property
    def dataset_options(self) -> dict[str, Any]:
        """Gives the storage options of the dataset."""
        own = self.dataset.storage_options
        return self.storage_options if own is None else own

    @property
    def generator_options(self) -> dict[str, Any]:
        """Gives the storage options of the checkpoint."""
        own = self.generator.storage_options
        return self.storage_options if own is None else own

    @property
    def extra_columns(self) -> tuple[str, ...]:
        """Names the columns of data files beside those that all have."""
        found = {"depth": self.output.depth, "keypoints": self.source.has_keypoints}
        return tuple(name for name, there in found.items() if there)

    @property
    def decided_by_instances(self) -> bool:
        """Tells whether instance maps decide clips, whatever the generator: they are published, or edits need them."""
        return self.output.instances or any(needs_instances(variant.edits) for variant in self.variants)

    def styles(self) -> Iterator[tuple[str, str]]:
        """Yields all styles and where they are in the spec."""
        match self.variants_by:
            case Balance() as rule:
                yield "variants.style", rule.style
            case Matrix() as rule:
                yield from ((f"variants.styles[{i}].style", s.style) for i, s in enumerate(rule.styles))
            case _:
                yield from ((f"variants[{i}].style", v.style) for i, v in enumerate(self.variants))

    def seed_of(self, variant: Variant) -> int:
        """Gives the seed of a variant."""
        return self.clips.seed if variant.seed is None else variant.seed
