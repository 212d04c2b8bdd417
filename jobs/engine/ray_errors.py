"""What Ray's errors mean, in words for people and for the dispatcher."""

import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayError, RayTaskError

from flowreel.schemas.errors import FlowreelError


def given_up(error: RayError) -> bool:
    """Tells whether Ray will not restart an actor although nothing is wrong with it: Ray could not ask the driver
    whether it is still needed ("all references were removed"), or it was killed on purpose."""
    return isinstance(error, ActorDiedError) and not error.actor_init_failed


def alive(node: str) -> bool:
    """Tells whether a node of the cluster is up; an empty id counts as up."""
    return any(n["Alive"] for n in ray.nodes() if n["NodeID"] == node) or not node


def death(error: RayError) -> str:
    """Words why a worker died; Ray itself says of a process that is gone only that its socket is closed."""
    if isinstance(error, ActorUnavailableError):
        return "its process ended without an error: it crashed, was killed, or the machine ran out of memory"
    return cause(error)


def cause(error: Exception) -> str:
    """Gives the first line that says something of a Ray error; of Flowreel's own errors the whole message."""
    inner = getattr(error, "cause", None) or error
    if isinstance(inner, RayTaskError):
        inner = inner.cause
    text = str(inner).strip() or type(inner).__name__
    return text.splitlines()[0] if not isinstance(inner, FlowreelError) else text
