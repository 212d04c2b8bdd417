"""The names of the files that Flowreel writes into a dataset: each is written down once, to make paths and to know them
again. Those of a version's files are in `versions`."""

import re
from string import Formatter

_ID = "[0-9a-f]{32}"
NUMBER = "(?:(?!0{6})[0-9]{6}|[1-9][0-9]{6,})"  # of a version, as Flowreel writes it: from 000001 on
_FIELDS = {
    **dict.fromkeys(("shard", "plan", "clip", "owner"), _ID),
    "number": NUMBER,
    "start": "[0-9]{8,}",  # label frame
    "begun": "[0-9]{8}T[0-9]{6}Z",
    "writer": "[0-9a-f]{16}",
}
DATA = "data/{shard}.parquet"
VERSION = "versions/{number:06d}"  # a folder
RUN = "runs/{plan}"  # a folder
RUN_RECORD, RUN_PLAN = RUN + "/run.json", RUN + "/plan.parquet"
OUTCOMES = RUN + "/outcomes"  # a folder
OUTCOME = OUTCOMES + "/{shard}.json"
SEGMENTS = RUN + "/pieces/{clip}"  # a folder
SEGMENT = SEGMENTS + "/{start:08d}.safetensors"
RUN_LEASES, SWEEP_LEASES = "runs/leases", "runs/sweeps"  # folders
LEASE = "/{owner}.json"  # below one of them
SUMMARIES = "runs/summaries"  # a folder
SUMMARY = SUMMARIES + "/{begun}-{plan}.json"
CLAIM, CLAIM_BEAT = "runs/claims/{number:06d}.json", "runs/claims/{number:06d}-{writer}.alive"


def pattern(template: str) -> str:
    """Gives the regular expression of the paths that a template makes."""
    parts = Formatter().parse(template)
    return "".join(re.escape(text) + (_FIELDS[field] if field else "") for text, field, _, _ in parts)


def field_of(template: str, path: str) -> str:
    """Gives what stands for the only field of a template in a path; "" for a path that is none of its."""
    (name,) = {field for _, field, _, _ in Formatter().parse(template) if field}
    found = re.fullmatch(pattern(template).replace(_FIELDS[name], f"({_FIELDS[name]})"), path)
    return found[1] if found else ""
