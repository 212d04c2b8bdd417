"""The families of generators: which networks a config stands for."""

from flowreel.pipeline.generator.adaptive.config import AdaptiveConfig
from flowreel.pipeline.generator.adaptive.generator import AdaptiveGenerator
from flowreel.pipeline.generator.configs import AnyConfig
from flowreel.pipeline.generator.networks import VideoGenerator

AnyGenerator = VideoGenerator | AdaptiveGenerator


def build(config: AnyConfig) -> AnyGenerator:
    """Builds networks with random weights."""
    return AdaptiveGenerator(config) if isinstance(config, AdaptiveConfig) else VideoGenerator(config)
