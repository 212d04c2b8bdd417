"""What a way tells of itself when it is done, as a line of JSON."""

import json
from dataclasses import asdict, dataclass, field


@dataclass
class Told:
    """Times are Unix times."""

    began: float = 0  # when the first clip was begun: until then it was starting
    done: list[tuple[float, int]] = field(default_factory=list)  # finished shards or clips: when, frames
    stages: dict[str, float] = field(default_factory=dict)  # seconds, summed over shards

    @property
    def frames(self) -> int:
        return sum(count for _, count in self.done)

    @property
    def steady(self) -> tuple[float, float]:
        """From the second finished one to the last: two lanes finish their first two together, which from the first on
        would count as two in the time of one."""
        times = sorted(when for when, _ in self.done)
        return times[1], times[-1]

    @property
    def steady_frames(self) -> int:
        """That were finished between."""
        first = self.steady[0]
        return sum(count for when, count in self.done if when > first)

    def tell(self) -> None:
        print(json.dumps(asdict(self)), flush=True)


def heard(line: str) -> Told:
    """What `Told.tell` printed."""
    told = json.loads(line)
    return Told(told["began"], [(when, frames) for when, frames in told["done"]], told["stages"])
