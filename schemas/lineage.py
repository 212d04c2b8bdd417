"""Lineage of clips as Arrow tables: one row per clip, in a version's ``lineage.parquet`` and in data files."""

import pyarrow as pa

_FILE = pa.struct([("path", pa.string()), ("sha256", pa.string())])
_DONOR = pa.struct(
    [("sequence_id", pa.string()), ("frames", pa.list_(pa.struct([("label", _FILE), ("instance", _FILE)])))]
)

_CLIP = [
    ("clip_id", pa.string()),
    ("sequence_id", pa.string()),
    ("variant", pa.int32()),
    ("start", pa.int32()),  # its first label frame in the sequence
    ("frames", pa.int32()),  # label frames
    ("split", pa.string()),
    # Digests of what decided the clip: of two clips in one place, those that differ are why it changed.
    ("labels", pa.string()),
    ("instances", pa.string()),  # null where they have no effect
    ("look", pa.string()),  # style, edits and seed of the variant
    ("label_space", pa.string()),
    ("weights", pa.string()),
    ("settings", pa.string()),
    ("render_format", pa.int32()),
    ("flowreel", pa.string()),  # the release that rendered it
]

# ``lineage.parquet``: the same for a clip in all versions that hold it.
LINEAGE = pa.schema([*_CLIP, ("since", pa.int32())])  # the version that published it first

# In the footer of a data file: the files that its clips were rendered from, too.
SOURCES = pa.schema(
    [
        *_CLIP,
        # Below source.uri, in frame order; of poses and faces, guides come after all of them.
        ("label_files", pa.list_(_FILE)),
        ("instance_files", pa.list_(_FILE)),  # one per label file or null
        ("exemplar", _FILE),  # the whole uri; null without
        ("donors", pa.list_(_DONOR)),  # of each edit that takes an object from another sequence; null in older files
    ]
)
SOURCES_KEY = b"flowreel.sources"  # footer key of a data file
