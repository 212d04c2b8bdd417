"""A remap: what a source's ids are in the label space."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

from flowreel.schemas.edit import ClassKey

OTHERS, KEEP = "others", "keep"  # remap: {others: keep}


def check_key(key: Any) -> Any:
    """Returns a source id, or `others`. Raises an error for anything else."""
    if key == OTHERS or (isinstance(key, int) and not isinstance(key, bool)):
        return key
    try:
        return int(key)
    except (TypeError, ValueError):
        raise PydanticCustomError("int_parsing", "Input should be a valid integer") from None


def check_others(remap: dict[int | str, int | str]) -> dict[int | str, int | str]:
    """Returns a remap. Raises ValueError if it says anything of other ids but that they stay."""
    if remap.get(OTHERS, KEEP) != KEEP:
        raise ValueError(f"{OTHERS}: must be '{KEEP}', is {remap[OTHERS]!r}: ids become classes one by one")
    return remap


def named(remap: dict[int | str, int | str]) -> dict[int, int | str]:
    """Gives the source ids that a remap names, with their classes."""
    return {key: value for key, value in remap.items() if isinstance(key, int)}


Remap = Annotated[
    dict[Annotated[int | str, BeforeValidator(check_key)], ClassKey],
    AfterValidator(check_others),
]
