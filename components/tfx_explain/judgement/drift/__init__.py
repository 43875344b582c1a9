"""Drift: how far an explanation has moved from a baseline, with bounds."""
