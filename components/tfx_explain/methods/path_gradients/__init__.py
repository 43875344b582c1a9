"""Integrated and expected gradients: attributions from gradients along paths from reference rows to each row."""
