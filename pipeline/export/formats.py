"""All formats, by the names that the command line knows."""

from pipeline.export.cityscapes import Cityscapes
from pipeline.export.coco_panoptic import CocoPanoptic
from pipeline.export.run import Format
from pipeline.export.video import Video
from pipeline.export.webdataset import WebDataset

FORMATS: dict[str, Format] = {form.name: form for form in (Cityscapes(), CocoPanoptic(), WebDataset(), Video())}
