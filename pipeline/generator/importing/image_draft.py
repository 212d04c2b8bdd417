"""Drafts the configuration of a pix2pixHD checkpoint from its files and options."""

from pydantic import ValidationError

from flowreel.pipeline.generator.image_config import ImageCheckpointConfig
from flowreel.pipeline.generator.importing.draft import Draft, impossible
from flowreel.pipeline.generator.importing.files import Folder, single_folder
from flowreel.pipeline.generator.importing.open_files import Opened
from flowreel.pipeline.generator.importing.options import Claims
from flowreel.pipeline.generator.importing.reconcile import channels
from flowreel.pipeline.generator.importing.single import choose, read_single


def draft_image(folder: Folder, epoch: str, single: str | None, claims: Claims, opened: Opened) -> Draft:
    """Drafts the configuration. ``single``: the file to take if the folder has several. Raises CheckpointError."""
    named = single_folder(single)[1] if single else None
    file = named or choose(folder, epoch, claims.value("load_size"))
    if file is None:
        raise folder.nothing(epoch)
    found = read_single(folder, file, claims, opened, epoch)
    content = channels(found.config.input_nc, claims, f"{file.name}, without a feature map")
    try:
        config = ImageCheckpointConfig(
            architecture="pix2pixHD",
            label_space=content.label_space,
            label_nc=content.label_nc,
            use_instance=content.use_instance,
            single=found.config,
            size=claims.value("size"),
        )
    except ValidationError as error:
        raise impossible(file.url, error) from None
    return Draft(config, found.parts, found.tables, (*found.assumed, *content.assumed), found.notes)
