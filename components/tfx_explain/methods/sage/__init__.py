"""SAGE: Shapley values of the expected loss."""
