"""Class balance: chooses which clips get which edits, so that classes reach their shares of the dataset's pixels."""

from flowreel.pipeline.planning.balance.plan import Balanced, balanced

__all__ = ["Balanced", "balanced"]
