"""XRAI: which regions of an image moved the output."""
