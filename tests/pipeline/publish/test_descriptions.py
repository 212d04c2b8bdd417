"""The dataset card and the Croissant description. mlcroissant and `datasets` read them in tests/consumers."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowreel.pipeline.dataset.manifest_writer import Totals
from flowreel.pipeline.dataset.versions import SHARDS_FILE, Version, open_version
from flowreel.pipeline.publish import version_facts
from flowreel.pipeline.publish.card import dataset_card
from flowreel.pipeline.publish.croissant import croissant
from flowreel.pipeline.publish.version_facts import VersionFacts
from flowreel.pipeline.storage import open_store
from flowreel.schemas.label_space import LabelSpace
from flowreel.schemas.manifest import DATA, MANIFEST
from flowreel.schemas.version import FileRecord

MANIFEST_RECORD = FileRecord(size=1, sha256="0" * 64)


@pytest.fixture(scope="module")
def version(published: Path) -> Version:
    return open_version(open_store(str(published)))


@pytest.fixture(scope="module")
def known(version: Version) -> VersionFacts:
    record, totals = version.record, Totals()
    totals.add(version.manifest(), None)
    space = LabelSpace.model_validate(record.label_space)
    return VersionFacts(1, record.spec, space, record.settings, record.counts, totals, version.table(SHARDS_FILE))


def front_matter(card: str) -> dict[str, Any]:
    return yaml.safe_load(card.split("---\n")[1])


def test_the_card_is_that_of_the_version(known: VersionFacts, version: Version) -> None:
    card = version.read("README.md").decode()
    assert card == dataset_card(known)
    manifest = version.manifest().to_pylist()
    cars = [dict(zip(r["class_ids"], r["class_pixels"], strict=True)).get(26, 0) for r in manifest]
    share = sum(cars) / (10 * 64 * 32)
    assert f"| 26 | car | {share:.2%} | {sum(c > 0 for c in cars)} |" in card


def test_its_front_matter_lists_the_data_files_of_the_version(known: VersionFacts) -> None:
    front = front_matter(dataset_card(known))
    frames, manifest = front["configs"]
    assert frames["data_files"][0]["path"] == [f"../../{p}" for p in known.shards["path"].to_pylist()]
    assert manifest["data_files"][0]["path"] == "manifest.parquet"
    assert (front["license"], front["size_categories"]) == ("unknown", ["n<1K"])
    assert front["provenance"]["generator"] == known.settings.generator


@pytest.mark.parametrize(
    ("license", "expected"),
    [
        ("cc-by-4.0", {"license": "cc-by-4.0"}),
        ("https://a.b/terms", {"license": "other", "license_name": "custom", "license_link": "https://a.b/terms"}),
    ],
)
def test_the_licence_is_the_specs(known: VersionFacts, license: str, expected: dict[str, str]) -> None:
    dataset = known.spec.dataset.model_copy(update={"license": license})
    licensed = replace(known, spec=known.spec.model_copy(update={"dataset": dataset}))
    front = front_matter(dataset_card(licensed))
    assert {key: value for key, value in front.items() if key.startswith("license")} == expected
    assert croissant(licensed, MANIFEST_RECORD)["license"] == license


def test_croissant_has_every_column_and_file(version: Version, known: VersionFacts) -> None:
    tree = json.loads(version.read("croissant.json"))
    assert tree == croissant(known, version.record.files["manifest.parquet"])
    fields = {r["@id"]: [f["name"] for f in r["field"]] for r in tree["recordSet"]}
    assert fields == {"frames": MANIFEST.names, "media": DATA.names}
    sums = {f["contentUrl"]: f.get("sha256") for f in tree["distribution"] if f["@type"] == "cr:FileObject"}
    shards = zip(known.shards["path"].to_pylist(), known.shards["sha256"].to_pylist(), strict=True)
    assert sums == {"manifest.parquet": version.record.files["manifest.parquet"].sha256} | {
        f"../../{path}": sha256 for path, sha256 in shards
    }


def test_more_files_than_a_description_should_list(known: VersionFacts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(version_facts, "LISTED_FILES", 1)
    assert [c["config_name"] for c in front_matter(dataset_card(known))["configs"]] == ["manifest"]
    assert [r["@id"] for r in croissant(known, MANIFEST_RECORD)["recordSet"]] == ["frames"]
