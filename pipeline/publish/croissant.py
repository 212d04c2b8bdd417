"""Describes a version in Croissant 1.0 (https://docs.mlcommons.org/croissant/docs/croissant-spec.html), which
dataset search engines and `mlcroissant` read: the manifest's columns, and the media of the data files."""

from typing import Any

import pyarrow as pa

from flowreel.pipeline.dataset.versions import MANIFEST_FILE
from flowreel.pipeline.publish.version_facts import VersionFacts
from flowreel.schemas.manifest import MANIFEST, MEDIA_COLUMNS, SHARDS, data_schema
from flowreel.schemas.spec import Spec
from flowreel.schemas.version import FileRecord

_PARQUET = "application/x-parquet"  # what mlcroissant knows
_CROISSANT = (
    "citeAs", "column", "equivalentProperty", "examples", "extract", "field", "fileProperty", "fileObject", "fileSet",
    "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references",
    "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform",
)  # fmt: skip
_CONTEXT: dict[str, Any] = {
    "@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/", "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/", "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"}, "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    **{term: f"cr:{term}" for term in _CROISSANT},
}  # fmt: skip
_CONTEXT["examples"] = {"@id": "cr:examples", "@type": "@json"}


def croissant(facts: VersionFacts, manifest: FileRecord) -> dict[str, Any]:
    """Builds the JSON-LD tree. Paths in it are relative to the version's folder."""
    spec, listed = facts.spec, facts.listed
    distribution = [_file(MANIFEST_FILE, MANIFEST_FILE, manifest.size, manifest.sha256)]
    records = [_record_set("frames", "One row per frame: what to filter on", MANIFEST, "fileObject", MANIFEST_FILE)]
    if listed:
        files = zip(*(facts.shards[name].to_pylist() for name in SHARDS.names), strict=True)
        distribution += [_file(path, f"../../{path}", size, sha256) for path, size, sha256 in files]
        distribution.append(_file_set(listed))
        records.append(_record_set("media", "Images, labels, instance maps, flow", _described(spec), "fileSet", "data"))
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": spec.dataset.title,
        "description": f"{facts.counts.frames:,} synthetic frames of {facts.counts.clips:,} clips, each rendered by a"
        f" vid2vid generator ({facts.settings.generator}) from the label map beside it.",
        "version": f"{facts.number}.0.0",
        "license": spec.dataset.license,
        "url": spec.dataset.uri,
        "isBasedOn": spec.source.place,
        "distribution": distribution,
        "recordSet": records,
    }


def _described(spec: Spec) -> pa.Schema:
    """Gives the columns of data files without keypoints: Croissant 1.0 has no lists of lists."""
    return data_schema(name for name in spec.extra_columns if name in MEDIA_COLUMNS)


def _file(name: str, url: str, size: int, sha256: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject", "@id": name, "name": name, "contentUrl": url, "contentSize": f"{size} B",
        "encodingFormat": _PARQUET, "sha256": sha256,
    }  # fmt: skip


def _file_set(paths: list[str]) -> dict[str, Any]:
    """Describes the data files of this version: their folder may hold others."""
    return {
        "@type": "cr:FileSet", "@id": "data", "name": "data", "encodingFormat": _PARQUET,
        "containedIn": [{"@id": path} for path in paths], "includes": "*.parquet",
    }  # fmt: skip


def _record_set(name: str, text: str, schema: pa.Schema, kind: str, source: str) -> dict[str, Any]:
    fields = [_field(name, column, {kind: {"@id": source}}) for column in schema]
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "description": text, "field": fields}


def _field(record_set: str, column: pa.Field, source: dict[str, Any]) -> dict[str, Any]:
    medium, several = column.name in MEDIA_COLUMNS, pa.types.is_list(column.type)
    found: dict[str, Any] = {
        "@type": "cr:Field", "@id": f"{record_set}/{column.name}", "name": column.name,
        "dataType": "sc:ImageObject" if medium else _data_type(column.type.value_type if several else column.type),
        "source": {**source, "extract": {"column": column.name}},
    }  # fmt: skip
    if medium:
        found["source"]["transform"] = {"jsonPath": "bytes"}
    return found | ({"repeated": True} if several else {})


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"
