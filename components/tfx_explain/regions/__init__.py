"""Parts of one value: regions of an image, spans of a text, windows of a series. NumPy, SciPy, for texts Arrow.

`find_segments` cuts an image into overlapping regions at several scales, `own_segments` takes those of a user's label
map; `rank_regions` makes of them, with an attribution of each pixel, a partition of the image, the region with the
highest mean first. `partition` cuts it into as many regions as asked for, which do not overlap; `masks` reads regions
that rows bring along. `blurs` blurs images, `absent` makes what stands in the
place of an absent one, and `written` PNG files of pixels.
`decode_image` reads pictures, `encode_labels` writes label maps, `overlay` draws maps on images.
What needs scikit-image or Pillow imports it when it is called: both come with the extra `images`.

`spans` cuts texts into words, sentences or paragraphs, and `texts` makes texts of some of them; these need Arrow.
`series` cuts series into windows, channels or both, and makes series of some of them.
"""

from tfx_explain.regions.images import decode_image, decode_labels, decode_values, encode_labels, encode_values
from tfx_explain.regions.one_colour import Colour, picture_of_one_colour
from tfx_explain.regions.optional import need_images
from tfx_explain.regions.overlays import heat, overlay
from tfx_explain.regions.segments import Segments, find_segments, own_segments
from tfx_explain.regions.sizes import nearest
from tfx_explain.regions.thumbnails import thumbnail
from tfx_explain.regions.xrai import RankedRegions, rank_regions

__all__ = [
    "Colour",
    "RankedRegions",
    "Segments",
    "decode_image",
    "decode_labels",
    "decode_values",
    "encode_labels",
    "encode_values",
    "find_segments",
    "heat",
    "nearest",
    "need_images",
    "overlay",
    "own_segments",
    "picture_of_one_colour",
    "rank_regions",
    "thumbnail",
]
