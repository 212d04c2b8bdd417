"""What a version says about itself to people and to catalogues."""

import json

from flowreel.pipeline.dataset.versions import CARD_FILE, CROISSANT_FILE
from flowreel.pipeline.publish.card import dataset_card
from flowreel.pipeline.publish.croissant import croissant
from flowreel.pipeline.publish.version_facts import VersionFacts
from flowreel.schemas.version import FileRecord


def descriptions(about: VersionFacts, manifest: FileRecord) -> dict[str, bytes]:
    """The dataset card and the Croissant description, by file name; the same for the same version."""
    tree = croissant(about, manifest)
    return {CARD_FILE: dataset_card(about).encode(), CROISSANT_FILE: json.dumps(tree, indent=1).encode()}
