"""Tries a step for one clip several times: what goes wrong is that clip's failure."""

import traceback
from collections.abc import Callable
from typing import TypeVar

import torch

from flowreel.pipeline.storage.errors import Unavailable
from flowreel.schemas.errors import FlowreelError
from flowreel.schemas.outcome import INPUT, Failed

T = TypeVar("T")


def with_retries(clip_id: str, call: Callable[[], T], most: int) -> T | Failed:
    """Gives what ``call`` does, at the latest when called for the ``most``-th time, or else the clip's failure.

    Errors that Flowreel raises on purpose would only come again. Raises Unavailable for a store that is down, which is
    no clip's fault, and AcceleratorError for a device that is lost and fails all that come after.
    """
    attempt = 1
    while True:
        try:
            return call()
        except (Unavailable, torch.AcceleratorError):
            raise
        except FlowreelError as error:
            return Failed(clip_id, str(error), attempts=attempt, kind=INPUT)
        except Exception as error:
            if attempt == most:
                kind = type(error).__name__
                return Failed(clip_id, f"{kind}: {error}", traceback.format_exc(), attempt, kind)
        attempt += 1
