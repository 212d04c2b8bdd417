"""A version's descriptions, for people and for catalogues."""

import json

from flowreel.pipeline.dataset.versions import CARD_FILE, CROISSANT_FILE
from flowreel.pipeline.publish.card import dataset_card
from flowreel.pipeline.publish.croissant import croissant
from flowreel.pipeline.publish.version_facts import VersionFacts
from flowreel.schemas.version import FileRecord


def descriptions(facts: VersionFacts, manifest: FileRecord) -> dict[str, bytes]:
    """Writes the dataset card and the Croissant description, by file name; the same for the same version."""
    tree = croissant(facts, manifest)
    return {CARD_FILE: dataset_card(facts).encode(), CROISSANT_FILE: json.dumps(tree, indent=1).encode()}
