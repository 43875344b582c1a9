"""The version of the package, said once: setup.py, manifests and the components' cache keys read it here."""

__version__ = "0.1.0"
