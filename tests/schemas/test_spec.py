"""The spec: what parses, what is refused with which words, what never shows."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from flowreel.schemas.errors import UsageError
from flowreel.schemas.parse import parse_spec
from flowreel.schemas.spec import Spec

MINIMAL = "dataset: {uri: out/city}\nsource: {uri: in}\n"

EXAMPLE = """
dataset:
  {uri: s3://bucket/datasets/city, name: city, license: unknown, keep_versions: 5, report: true, storage_options: null}
source:
  uri: s3://bucket/sequences
  preset: null                               # or a layout's name
  labels: "{sequence}/labels/*.png"          # {sequence} is a path part; frames sort by name
  instances: "{sequence}/instances/*.png"    # optional
  images: "{sequence}/images/*.jpg"          # optional: exemplars, training
  label_space: cityscapes                    # or a path to a label-space file
  remap: {}                                  # source id -> label-space id
  fps: 17
  encoding: ids                              # or {channel: red}, colours, kitti-step, ...
  step: null                                 # from one frame number to the next
  gaps: error                                # error | split | hold
  include: []
  exclude: []
  min_frames: 1
  dataset: null                              # another dataset, instead of a uri
  columns: null                              # of Parquet files
  procedural: null                           # streets drawn out of nothing
  pose: null
  face: null
  storage_options: null
generator:
  checkpoint: s3://bucket/checkpoints/label2city   # or `bundled`
  size: [512, 256]                           # width, height
  batch: auto                                # clips in lock-step; a rule, recorded in the plan
  precision: auto                            # float32 | bfloat16 | float16
  storage_options: null
clips: {frames: 30, stride: 30, seed: 0, lead_in: repeat}   # frames: 0 = whole sequence; lead_in: repeat | drop
variants:
  - {style: generate}                        # `generate`, or an exemplar image's uri
  - {style: "s3://bucket/styles/dusk.png", edits: [{replace: vegetation, with: building}]}
output: {image_codec: jpeg, image_quality: 92, instances: true, flow: false, depth: false}   # flow: 10x an image
split: {train: 0.9, val: 0.1}                # by sequence, stable under growth
quality:
  segmenter: null                              # TorchScript or ONNX file that label agreement is measured with
  segmenter_classes: null
  max_warp_error: null
  max_flicker: null
  max_drift: null
  min_sharpness: null
  max_sharpness: null
  min_contrast: null
  min_saturation: null
  max_saturation: null
  min_label_edges: null
  max_frozen: null
  min_label_agreement: null
failure: {max_attempts: 3, max_failed_fraction: 0.01, max_dropped_fraction: 0.1, stall_s: 900, retry_failed: false}
execution:
  {num_gpus: 1, num_cpus: 2, workers: [1, 8], grace_s: 25, placement_timeout_s: 900, checkpoint_frames: 1000}
storage_options: {}                          # to fsspec; never logged, never stored
"""


def refused(text: str, *overrides: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_spec(text, overrides, "job.yaml")
    return str(caught.value)


def problems(*overrides: str) -> list[str]:
    """The lines below the heading, for the minimal spec with overrides."""
    return [line.removeprefix("  ") for line in refused(MINIMAL, *overrides).splitlines()[1:]]


def flat(tree: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from flat(value, f"{place}.{key}".lstrip("."))
    else:
        yield place, tree


def test_the_example_of_the_contract_parses_to_what_it_says() -> None:
    spec = parse_spec(EXAMPLE)
    said = yaml.safe_load(EXAMPLE)
    for place in (said, said["dataset"], said["source"], said["generator"]):
        place.pop("storage_options")
    said["variants"][0]["edits"] = []
    said["variants"] = [v | {"seed": None, "light": None} for v in said["variants"]]
    said["variants_by"] = None
    assert json.loads(spec.model_dump_json(by_alias=True)) == said
    assert [str(edit) for edit in spec.variants[1].edits] == ["replace vegetation with building"]


def test_the_values_of_the_example_are_the_defaults_but_for_those_it_chooses() -> None:
    example, minimal = (dict(flat(parse_spec(text).model_dump())) for text in (EXAMPLE, MINIMAL))
    assert {key for key in example if example[key] != minimal.get(key)} == {
        *("dataset.uri", "dataset.name", "source.uri", "source.instances", "source.images"),
        *("generator.checkpoint", "generator.size", "clips.stride", "variants"),
    }
    assert minimal["generator.checkpoint"] == "bundled" and minimal["generator.size"] is None
    assert minimal["clips.stride"] is None and minimal["source.instances"] is None
    assert [v["style"] for v in minimal["variants"]] == ["generate"]


@pytest.mark.parametrize(
    ("dataset", "title"),
    [("{uri: s3://b/x/city}", "city"), ("{uri: x/city/}", "city"), ("{uri: x/city, name: My city}", "My city")],
)
def test_a_dataset_is_called_by_its_name_or_the_last_part_of_its_uri(dataset: str, title: str) -> None:
    assert parse_spec(MINIMAL, [f"dataset={dataset}"]).dataset.title == title


def test_a_variant_takes_the_seed_of_the_clips_unless_it_has_its_own() -> None:
    spec = parse_spec(MINIMAL, ["clips.seed=4", "variants=[{}, {seed: 0}]"])
    assert [spec.seed_of(v) for v in spec.variants] == [4, 0]


BAD_TEMPLATE = "source.labels: '{}' must have one '*' in the file name, which stands for the frame"
ADJACENT = "source.labels: '{}' must have something between '{{sequence}}' and '*'"
OUTSIDE = "source.labels: '{}' must be relative to source.uri, without empty parts, '.', '..' or '\\'"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("dataset.uri=''", "dataset.uri: must have at least 1 character"),
        ("dataset.keep_versions=0", "dataset.keep_versions: must be at least 1, is 0"),
        ("source.fps=0", "source.fps: must be at least 0.000001, is 0"),
        ("source.fps=1e-320", "source.fps: must be at least 0.000001, is '1e-320'"),
        ("source.fps=.inf", "source.fps: must be a finite number, is inf"),
        ("source.remap={a: 1}", "source.remap.a: must be an integer, is 'a'"),
        ("source.labels='{sequence}/a_*_*.png'", BAD_TEMPLATE.format("{sequence}/a_*_*.png")),
        ("source.labels='./{sequence}/*.png'", OUTSIDE.format("./{sequence}/*.png")),
        ("source.encoding=color", "source.encoding: 'color' is no encoding; write ids, index, colours, kitti-step,"),
        (
            "source.encoding={channel: purple}",
            "source.encoding: {'channel': 'purple'} is no encoding; write",
        ),
        (
            "source={uri: x, encoding: mapillary, instances: '{sequence}/i/*.png'}",
            "source: instances: with encoding mapillary the label maps hold them; leave instances out",
        ),
        ("source.remap={3: 1, others: sky}", "source.remap: others: must be 'keep', is 'sky'"),
        ("source.remap={3: no}", "source.remap[3]: must be an integer, is False"),
        ("clips={frames: 0, stride: 3}", "clips: stride 3 means nothing with frames 0"),
        ("source.labels=labels/*.png", "source.labels: '{sequence}' is missing from 'labels/*.png'; write it as in"),
        ("source.images='{sequence}/{sequence}/*'", "source.images: '{sequence}' is more than once in"),
        ("source.labels='{sequence}*.png'", ADJACENT.format("{sequence}*.png")),
        ("source.labels='*{sequence}.png'", ADJACENT.format("*{sequence}.png")),
        ("source.labels='{sequence}/1.png'", BAD_TEMPLATE.format("{sequence}/1.png")),
        ("source.labels='/a/{sequence}/*.png'", OUTSIDE.format("/a/{sequence}/*.png")),
        ("source.labels='../{sequence}/*.png'", OUTSIDE.format("../{sequence}/*.png")),
        ("source.labels='{sequence}/*/*.png'", BAD_TEMPLATE.format("{sequence}/*/*.png")),
        ("generator.size=[0, 4]", "generator.size[0]: must be at least 1, is 0"),
        ("generator.size=[4]", "generator.size[1]: missing, but required"),
        ("generator.precision=half", "generator.precision: must be 'auto', 'float32', 'bfloat16'"),
        ("clips.frames=-1", "clips.frames: must be at least 0, is -1"),
        ("clips.stride=0", "clips.stride: must be at least 1, is 0"),
        ("clips.lead_in=skip", "clips.lead_in: must be 'repeat' or 'drop'"),
        ("variants=[]", "variants: empty; for example variants: [{style: generate}], or leave it out"),
        ("variants=[{}, {style: a.png}, {seed: 0}]", "variants[2] repeats variants[0]; remove one or change its seed"),
        ("variants=[{edits: [{replace: car}]}]", "variants[0].edits[0].with: missing, but required; `flowreel schema`"),
        ("output.image_quality=101", "output.image_quality: must be at most 100, is 101"),
        ("output.image_codec=gif", "output.image_codec: must be 'jpeg', 'png' or 'webp'"),
        ("split={train: 0.5}", "split: shares sum to 0.5, must be 1; for example train: 0.9, val: 0.1"),
        ("split={}", "split: shares sum to 0, must be 1"),
        ("split={a: 1.5, b: -0.5}", "split.a: must be at most 1, is 1.5"),
        ("quality.max_warp_error=0", "quality.max_warp_error: must be at least 0.000000000001, is 0"),
        ("quality.min_label_agreement=0.5", "quality: min_label_agreement 0.5 cannot be checked without a segmenter"),
        ("quality={min_sharpness: 5, max_sharpness: 4}", "quality: min_sharpness 5 is above max_sharpness 4: nothing"),
        ("failure.max_attempts=0", "failure.max_attempts: must be at least 1, is 0"),
        ("failure.max_failed_fraction=2", "failure.max_failed_fraction: must be at most 1, is 2"),
        ("execution.num_gpus=1.5", "execution.num_gpus: 1.5 must be a whole number above 1, or a fraction of one GPU"),
        ("execution.num_gpus=1e-320", "execution.num_gpus: 9.99989e-321 is too small a part of a GPU; give 0 for none"),
        ("execution.num_gpus=-1", "execution.num_gpus: must be at least 0, is -1"),
        ("execution.workers=[4, 2]", "execution.workers: least 4 is above most 2; for example [1, 4]"),
        ("storage_options=hunter2", "storage_options: must be a mapping of fields, is ***"),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_bound(override: str, message: str) -> None:
    found = problems(override)
    assert found[0].startswith(message)


def test_an_infinite_number_of_gpus_is_refused() -> None:
    assert problems("execution.num_gpus=.inf")[0].startswith("execution.num_gpus: must be a finite number, is inf")


@pytest.mark.parametrize("gpus", [0, 0.25, 1, 2, 4.0])
def test_gpus_are_fractions_of_one_or_whole(gpus: float) -> None:
    assert parse_spec(MINIMAL, [f"execution.num_gpus={gpus}"]).execution.num_gpus == gpus


@pytest.mark.parametrize("split", [{"all": 1.0}, {"a": 0.1, "b": 0.2, "c": 0.7}, {"a": 1.0, "b": 0.0}])
def test_shares_that_sum_to_one_are_taken(split: dict[str, float]) -> None:
    assert parse_spec(MINIMAL, [f"split={json.dumps(split)}"]).split == split


def test_every_problem_is_listed_at_once() -> None:
    lines = refused("source: {uri: in, fps: 0}\nclips: {frame: 3}").splitlines()
    assert lines == [
        "job.yaml: 3 problems",
        "  dataset: missing, but required; `flowreel schema` lists all fields",
        "  source.fps: must be at least 0.000001, is 0",
        "  clips.frame: unknown field; did you mean 'frames'?",
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("generatr={}", "generatr: unknown field; did you mean 'generator'?"),
        ("source.lables=x", "source.lables: unknown field; did you mean 'labels'?"),
        ("clips.length=3", "clips.length: unknown field; fields here: frames, stride, seed, lead_in"),
        ("variants=[{stile: a}]", "variants[0].stile: unknown field; did you mean 'style'?"),
        (
            "variants=[{edits: [{replace: a, wiht: b, with: c}]}]",
            "variants[0].edits[0].wiht: unknown field; did you mean 'with'?",
        ),
    ],
)
def test_an_unknown_field_suggests_the_near_one_or_lists_them(override: str, message: str) -> None:
    assert problems(override) == [message]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dataset: {uri: [}", "job.yaml: not valid YAML: line 1, column 17: "),
        ("a: 1\n b: 2", "job.yaml: not valid YAML: line 2, column 3: mapping values are not allowed here"),
        ("- a", "job.yaml: must be a mapping of fields, not a list; see `flowreel schema`"),
        ("", "job.yaml: empty; `flowreel schema` lists the fields"),
        ("a: {b: 1, b: 2}", "job.yaml: not valid YAML: line 1, column 11: key 'b' is given twice"),
        ("a: \x00", "job.yaml: not valid YAML: unreadable: a control character"),
    ],
)
def test_what_is_no_yaml_mapping_is_refused_with_its_place(text: str, message: str) -> None:
    assert refused(text).startswith(message)


def test_an_impossible_date_is_refused_with_its_file() -> None:
    assert refused(MINIMAL + "clips: {seed: 2024-13-45}").startswith("job.yaml: ")


@pytest.mark.parametrize(
    ("override", "place", "expected"),
    [
        ("clips.frames=16", "clips.frames", 16),
        ("clips.stride=null", "clips.stride", None),
        (" clips.seed =3", "clips.seed", 3),
        ("generator.size=[64, 32]", "generator.size", (64, 32)),
        ("generator.size.0=64", "generator.size", (64, 256)),
        ("output.flow=true", "output.flow", True),
        ("source.remap={19: 7, 4: sky}", "source.remap", {19: 7, 4: "sky"}),
        ("source.remap.255=unlabeled", "source.remap", {255: "unlabeled"}),
        ("dataset.uri=s3://b/d=1", "dataset.uri", "s3://b/d=1"),
        ("storage_options.key=k", "storage_options", {"key": "k"}),
        ("source.labels={sequence}/gt/*.png", "source.labels", "{sequence}/gt/*.png"),
    ],
)
def test_set_overrides_a_field(override: str, place: str, expected: object) -> None:
    value: Any = parse_spec(EXAMPLE, [override])
    for part in place.split("."):
        value = getattr(value, part)
    assert value == expected


def test_set_reaches_into_lists_and_the_last_one_counts() -> None:
    spec = parse_spec(EXAMPLE, ["variants.1.seed=5", "variants.1.edits.0.with=wall", "variants.1.seed=6"])
    assert spec.variants[1].seed == 6 and str(spec.variants[1].edits[0]) == "replace vegetation with wall"
    assert spec.variants[0] == parse_spec(EXAMPLE).variants[0]


def test_set_makes_groups_that_the_file_leaves_out() -> None:
    spec = parse_spec("source: {uri: in}\nclips:\n", ["dataset.uri=out", "clips.frames=4"])
    assert spec.dataset.uri == "out" and spec.clips.frames == 4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("clips.frames", "--set clips.frames: must be FIELD=VALUE, for example --set clips.frames=16"),
        ("=3", "--set =3: must be FIELD=VALUE"),
        ("variants.2.seed=1", "--set variants.2.seed: '2' is not in the list, which has 2 items, numbered from 0"),
        ("variants.x.seed=1", "--set variants.x.seed: 'x' is not in the list, which has 2 items, numbered from 0"),
        ("variants.-1={}", "--set variants.-1: '-1' is not in the list, which has 2 items, numbered from 0"),
        ("dataset.uri.x=1", "'uri' is a single value, not a group of fields"),
        ("clips.=1", "clips.: unknown field"),
    ],
)
def test_a_wrong_override_is_refused(override: str, message: str) -> None:
    assert message in refused(EXAMPLE, override)


SECRET = "hunter2-Wq8/xK"
WITH_SECRET = MINIMAL + f"storage_options: {{key: harmless, secret: '{SECRET}', deep: {{tokens: ['{SECRET}']}}}}\n"


def test_storage_options_never_show() -> None:
    spec = parse_spec(WITH_SECRET)
    assert spec.storage_options["deep"] == {"tokens": [SECRET]}
    shown = [repr(spec), str(spec), f"{spec}", str(spec.model_dump()), str(spec.model_dump(mode="json"))]
    shown += [spec.model_dump_json(), spec.model_dump_json(by_alias=True), spec.model_copy().model_dump_json()]
    assert not [text for text in shown if "hunter2" in text or "storage_options" in text]


@pytest.mark.parametrize(
    ("options", "overrides"),
    [
        pytest.param(f"{{secret: '{SECRET}'}}", ["clips.frames=x", "nonsense=1"], id="problems elsewhere"),
        pytest.param(f"{{secret: '{SECRET}'}}", ["variants=[{}, {}]"], id="a problem of the whole spec"),
        pytest.param(f"{{secret: '{SECRET}'}}", ["dataset=null"], id="a problem beside it"),
        pytest.param(f"{{tokens: ['{SECRET}']}}", ["storage_options.tokens.7=x"], id="an index too high"),
        pytest.param(f"{{secret: '{SECRET}'}}", ["storage_options.secret.x=1"], id="no group of fields"),
        pytest.param("{key: k}", [f"storage_options.key.x={SECRET}"], id="a secret in an override"),
        pytest.param(SECRET, [], id="no mapping"),
        pytest.param(f"[{SECRET}]", [], id="a list"),
        pytest.param(f"{{7: {SECRET}}}", [], id="a number as key"),
        pytest.param(f"{{secret: [{SECRET}", [], id="an open bracket"),
        pytest.param(f"{{secret: @{SECRET}}}", [], id="a reserved character"),
        pytest.param("{secret: *hunter2}", [], id="a value like an alias"),
        pytest.param(f"{{secret: !{SECRET} x}}", [], id="a value like a tag"),
    ],
)
def test_errors_do_not_show_storage_options(options: str, overrides: list[str]) -> None:
    assert "hunter2" not in refused(f"{MINIMAL}storage_options: {options}", *overrides)
    for place in ("source", "dataset", "generator"):
        own = {"source": "uri: in, ", "dataset": "uri: out, ", "generator": ""}[place]
        others = {"source": "dataset: {uri: out}", "dataset": "source: {uri: in}", "generator": MINIMAL}[place]
        text = f"{others}\n{place}: {{{own}storage_options: {options}}}\n"
        assert "hunter2" not in refused(text, *(f"{place}.{o}" if o.startswith("storage") else o for o in overrides))


def test_places_have_storage_options_of_their_own_or_those_of_the_spec() -> None:
    text = MINIMAL + "storage_options: {key: all}\ngenerator: {storage_options: {}}\n"
    spec = parse_spec(text, ["source.storage_options={anon: true}"])
    assert spec.source_options == {"anon": True} and spec.dataset_options == {"key": "all"}
    assert spec.generator_options == {}  # none at all
    shown = [repr(spec), str(spec), spec.model_dump_json(), json.dumps(spec.model_dump(mode="json"))]
    assert not [text for text in shown if "anon" in text or "storage_options" in text]


def test_options_under_a_mistyped_name_do_not_show() -> None:
    message = refused(f"{MINIMAL}storage_option: {{secret: {SECRET}}}")
    assert "did you mean 'storage_options'?" in message and "hunter2" not in message


def test_a_spec_cannot_be_changed() -> None:
    spec = parse_spec(EXAMPLE)
    for model, name in ((spec, "split"), (spec.clips, "frames"), (spec.variants[1].edits[0], "replace")):
        with pytest.raises(ValidationError, match="frozen"):
            setattr(model, name, getattr(model, name))


def test_a_stored_spec_is_read_back_without_storage_options() -> None:
    spec = parse_spec(EXAMPLE, ["storage_options.key=k", "source.remap={19: car, 4: 7}"])
    for stored in (spec.model_dump_json(), spec.model_dump_json(by_alias=True)):
        assert Spec.model_validate_json(stored) == spec.model_copy(update={"storage_options": {}})


def test_the_json_schema_has_every_field_of_the_contract() -> None:
    schema = json.loads(json.dumps(Spec.model_json_schema()))
    example = yaml.safe_load(EXAMPLE)
    assert [name for name in schema["properties"] if name != "variants_by"] == list(example)
    assert schema["required"] == ["dataset", "source"] and schema["additionalProperties"] is False
    groups = {name: schema["properties"][name].get("$ref", "").rpartition("/")[2] for name in example}
    for name, model in groups.items():
        if model:
            assert list(schema["$defs"][model]["properties"]) == list(example[name])
            assert schema["$defs"][model]["additionalProperties"] is False
    assert {name for name, model in groups.items() if not model} == {"variants", "split", "storage_options"}
    assert list(schema["$defs"]["Variant"]["properties"]) == ["style", "edits", "seed", "light"]
    kinds = schema["properties"]["variants"]["anyOf"]
    assert kinds[0]["items"] == {"$ref": "#/$defs/Variant"} and "Balance" in str(kinds[1]) and "Matrix" in str(kinds[1])
    assert schema["$defs"]["Replace"]["required"] == ["replace", "with"]


@pytest.mark.parametrize("field", ["labels", "instances", "images"])
def test_a_url_in_place_of_a_template_is_not_shown(field: str) -> None:
    tree = {"dataset": {"uri": "d"}, "source": {"uri": "s", field: "s3://KEY:hunter2/x@bucket/{sequence}/*.png"}}
    with pytest.raises(ValidationError, match="give it as source.uri") as refused:
        Spec.model_validate(tree)
    assert "hunter2" not in refused.value.errors()[0]["msg"]


@pytest.mark.parametrize("value", ["!!timestamp x", "!!bool x", "!!int ''", "!!float ''", "0x" + "f" * 5000])
def test_values_that_yaml_or_python_cannot_take_are_refused_in_words(value: str) -> None:
    with pytest.raises(UsageError, match="spec.yaml"):
        parse_spec(f"dataset: {{uri: {value}}}\nsource: {{uri: s}}\n", [], "spec.yaml")
