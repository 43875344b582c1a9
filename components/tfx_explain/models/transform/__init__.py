"""Transform's saved graph: before a model, behind a label, and as the origin of transformed columns."""
