"""The model card: what an explanation and a verdict on it say of a model, each figure with where it is found again."""

from __future__ import annotations

from tfx_explain.card.blocks import Card
from tfx_explain.card.details import OwnerDetails
from tfx_explain.card.make import make_card
from tfx_explain.card.markdown import to_markdown
from tfx_explain.card.toolkit import to_model_card
from tfx_explain.card.validation import Validation

__all__ = ["Card", "OwnerDetails", "Validation", "make_card", "to_markdown", "to_model_card"]
