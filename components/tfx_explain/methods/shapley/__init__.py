"""Shapley values of single rows, and with them importance and interactions."""
