"""What a run is, before Beam and after it: the request, the models, the manifest."""
