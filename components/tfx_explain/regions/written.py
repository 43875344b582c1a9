"""Pictures as PNG files, of any number of channels and 8 or 16 bits: without loss, and fast rather than small.

Pillow writes no colours of 16 bits, and takes longer for one picture than a model for many.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import InputError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def png_file(pixels: npt.NDArray[Any], *, level: int = 0) -> bytes:
    """A picture (H, W, C) as a file.

    Args:
      pixels: uint8 or uint16; of 1 to 4 channels: grey, grey and alpha, RGB, RGBA.
      level: of compression, 0 (none) to 9.

    Raises:
      InputError: another array.

    Source: ISO/IEC 15948, Portable Network Graphics.
    """
    if pixels.ndim != 3 or not pixels.size or pixels.shape[2] not in _COLOUR_TYPES or pixels.dtype.kind != "u":
        raise InputError(f"A picture is (height, width, 1 to 4) of bytes, not {pixels.shape} of {pixels.dtype}.")
    height, width, n_channels = pixels.shape
    values = np.ascontiguousarray(pixels, ">u2" if pixels.dtype.itemsize > 1 else np.uint8)
    lines = values.view(np.uint8).reshape(height, -1)
    # Each line begins with how it is filtered: not at all.
    filtered = np.zeros((height, lines.shape[1] + 1), np.uint8)
    filtered[:, 1:] = lines
    header = struct.pack(">IIBBBBB", width, height, 8 * values.itemsize, _COLOUR_TYPES[n_channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), level)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, data) for kind, data in chunks)


def bit_depth(file: bytes) -> int:
    """Bits of a channel of a PNG file; 8 of other pictures."""
    return file[24] if file.startswith(_SIGNATURE) and len(file) > 24 else 8


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
