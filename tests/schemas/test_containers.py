"""Containers in templates."""

import re

import pytest
from pydantic import ValidationError

from flowreel.schemas.containers import without_container
from flowreel.schemas.source import SourceSpec


@pytest.mark.parametrize(
    ("template", "becomes"),
    [
        ("{sequence}.tar/labels/*.png", None),
        ("{sequence}.ZIP/*.png", None),
        ("train-*.tar/{sequence}_*.label.png", None),
        ("{sequence}.mkv", "{sequence}.mkv/*"),
        ("{sequence}/labels.mov", "{sequence}/labels.mov/*"),
    ],
)
def test_templates_go_through_containers(template: str, becomes: str | None) -> None:
    assert SourceSpec(uri="/s", labels=template).labels == (becomes or template)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("labels", "{sequence}.tar.gz/labels/*.png", "a compressed archive cannot be read in parts"),
        ("uri", "/data/export.zip", "'export.zip' is one file; give the folder that holds it"),
        ("uri", "/data/drive.mkv", "labels: '{sequence}.mkv'"),
    ],
)
def test_containers_that_cannot_be_read_say_how(field: str, value: str, says: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(says)):
        SourceSpec.model_validate({"uri": "/s", field: value})


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ({"columns": {"instance": "objects"}}, "columns.instance is given, but instances is not"),
        ({"columns": {"image": "photo"}}, "add images: '{sequence}/images/*.png'"),
        ({"columns": {}, "instances": "{sequence}/i/*.png"}, "instances is given, but columns.instance is not"),
    ],
)
def test_columns_and_templates_belong_together(source: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(says)):
        SourceSpec.model_validate({"uri": "/s", **source})


def test_ids_of_clips_rest_on_templates_without_containers() -> None:
    assert [
        without_container(t)
        for t in (
            "{sequence}/labels/*.png",
            "{sequence}.tar/labels/*.png",
            "a/s-*.tar/{sequence}_*.png",
            "{sequence}.mkv/*",
        )
    ] == ["{sequence}/labels/*.png", "{sequence}/labels/*.png", "a/{sequence}_*.png", "{sequence}/*"]
