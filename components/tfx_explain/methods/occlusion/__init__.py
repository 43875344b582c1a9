"""Occlusion: what the output is without a feature, or without a part of one, all else as it is."""
