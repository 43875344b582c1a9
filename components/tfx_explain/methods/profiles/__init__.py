"""Partial dependence and accumulated local effects."""
