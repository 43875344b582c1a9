"""Whether the attributions of other methods tell what the model does."""
