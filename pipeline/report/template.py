"""Fills the page: one HTML file with its style, its script, numbers and videos in it."""

import json
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader
from markupsafe import Markup


def fill(context: dict[str, Any], data: dict[str, Any]) -> str:
    """Fills the template. ``context`` is what the template names, ``data`` what its script reads."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    script = Markup(text.replace("<", "\\u003c"))  # "</script>" in a name must not end the script
    inner = {"css": Markup(_read("page.css")), "js": Markup(_read("page.js")), "data": script}
    return _environment().get_template("page.html.j2").render(**context, **inner)


@cache
def _environment() -> Environment:
    return Environment(loader=FunctionLoader(_read), autoescape=True, trim_blocks=False)


def _read(name: str) -> str:
    return (resources.files(__package__) / "templates" / name).read_text(encoding="utf-8")
