"""Fills the page: one HTML file with its style, its script, numbers and videos in it."""

import json
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader
from markupsafe import Markup

from flowreel.schemas.wording import printable


def fill(context: dict[str, Any], data: dict[str, Any]) -> str:
    """Fills the template. ``context`` is what the template names, ``data`` what its script reads."""
    text = json.dumps(_shown(data), separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    script = Markup(text.replace("<", "\\u003c"))  # "</script>" in a name must not end the script
    inner = {"css": Markup(_read("page.css")), "js": Markup(_read("page.js")), "data": script}
    return printable(_environment().get_template("page.html.j2").render(**context, **inner))


def _shown(value: Any) -> Any:
    """Gives what a page's script reads, with no control character in any text: within JSON it would be one again."""
    if isinstance(value, dict):
        return {_shown(key): _shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    return printable(value) if isinstance(value, str) else value


@cache
def _environment() -> Environment:
    return Environment(loader=FunctionLoader(_read), autoescape=True, trim_blocks=False)


def _read(name: str) -> str:
    return (resources.files(__package__) / "templates" / name).read_text(encoding="utf-8")
