"""All export formats, by the names that the command line uses."""

from flowreel.pipeline.export.cityscapes import Cityscapes
from flowreel.pipeline.export.coco_panoptic import CocoPanoptic
from flowreel.pipeline.export.run import Format
from flowreel.pipeline.export.video import Video
from flowreel.pipeline.export.webdataset import WebDataset

FORMATS: dict[str, Format] = {form.name: form for form in (Cityscapes(), CocoPanoptic(), WebDataset(), Video())}
