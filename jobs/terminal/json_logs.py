"""Structured logs: one JSON object per line, with the ids of the run, shard and clip that it is about."""

import json
import logging
import os
import time
from typing import Any

from flowreel.schemas.secrets import hide_secrets

IDS = ("run", "shard", "clip", "worker", "node", "seconds", "frames", "kind")


def json_wanted() -> bool:
    """Tells whether commands write their progress as JSON lines: FLOWREEL_LOG=json."""
    return os.environ.get("FLOWREEL_LOG") == "json"


def line(level: str, message: str, fields: dict[str, Any], at_s: float | None = None) -> str:
    """Gives a log line. ``at_s``: Unix time, now by default; it is written in UTC."""
    at_s = time.time() if at_s is None else at_s
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at_s)) + f".{int(at_s * 1000) % 1000:03d}Z"
    shown = {name: hide_secrets(value) if isinstance(value, str) else value for name, value in fields.items()}
    return json.dumps({"time": stamp, "level": level.lower(), "message": hide_secrets(message), **shown})


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object. ``ids`` are part of every line."""

    def __init__(self, ids: dict[str, str]) -> None:
        super().__init__()
        self._ids = ids

    def format(self, record: logging.LogRecord) -> str:
        """Gives the line of a record, with its traceback if it has one."""
        fields = self._ids | {name: getattr(record, name) for name in IDS if hasattr(record, name)}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return line(record.levelname, record.getMessage(), fields | {"logger": record.name}, record.created)


def log_as_json(ids: dict[str, str]) -> None:
    """Sends all that Flowreel's packages log in this process to stderr as JSON; Ray keeps it in the worker's log."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter(ids))
    logger = logging.getLogger("flowreel")
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
