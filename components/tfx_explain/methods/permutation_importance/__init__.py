"""Permutation importance: what is lost where a player comes from another row."""
