"""What Ray says of workers that are gone, in words for people and for the dispatcher."""

import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayError, RayTaskError

from flowreel.schemas.errors import FlowreelError


def given_up(error: RayError) -> bool:
    """Whether Ray will not start the actor again though nothing is wrong with it: it could not ask the driver whether
    the actor is still needed ("all references were removed"), or somebody killed it."""
    return isinstance(error, ActorDiedError) and not error.actor_init_failed


def alive(node: str) -> bool:
    return any(n["Alive"] for n in ray.nodes() if n["NodeID"] == node) or not node


def death(error: RayError) -> str:
    """Ray says of a process that is gone only that its socket is closed."""
    if isinstance(error, ActorUnavailableError):
        return "the process ended without a word: it crashed, was killed, or the machine ran out of memory"
    return cause(error)


def cause(error: Exception) -> str:
    """The first telling line of a Ray error."""
    inner = getattr(error, "cause", None) or error
    if isinstance(inner, RayTaskError):
        inner = inner.cause
    text = str(inner).strip() or type(inner).__name__
    return text.splitlines()[0] if not isinstance(inner, FlowreelError) else text
