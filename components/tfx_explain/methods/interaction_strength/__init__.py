"""Friedman's H: how much of the output two players make together."""
