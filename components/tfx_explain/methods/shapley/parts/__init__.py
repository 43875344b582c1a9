"""Shapley values inside a feature that is a text: its spans are players of one row."""
