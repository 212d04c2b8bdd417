"""The configs of all families of video generators. No PyTorch in here, for planning reads them."""

import json

from flowreel.pipeline.generator.adaptive.config import AdaptiveConfig
from flowreel.pipeline.generator.config import GeneratorConfig

AnyConfig = GeneratorConfig | AdaptiveConfig


def parse_config(text: bytes) -> AnyConfig:
    """Reads the config in a JSON text; vid2vid's unless ``architecture`` names another. Raises ValidationError."""
    try:
        adaptive = json.loads(text).get("architecture") == AdaptiveConfig().architecture
    except (ValueError, AttributeError, RecursionError):
        adaptive = False  # which is said below
    return (AdaptiveConfig if adaptive else GeneratorConfig).model_validate_json(text)
