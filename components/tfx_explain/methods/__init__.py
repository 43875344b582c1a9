"""What is computed of a model: one folder per method. Knows models and numerics, and no Beam."""
