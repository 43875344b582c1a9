"""The record of the last blessed model: one small file."""

from __future__ import annotations

import dataclasses
import json

from typing_extensions import Self

from tfx_explain import storage
from tfx_explain.errors import InputError


@dataclasses.dataclass(frozen=True)
class BlessedModel:
    """What is recorded of a blessed model.

    Attributes:
      model_uri: the Model artifact.
      explanation_uri: the explanation that it was blessed for; empty where none was given.
      manifest_digest: SHA-256 of the manifest of that explanation; empty where none was given.
    """

    model_uri: str
    explanation_uri: str
    manifest_digest: str

    def write(self, record: str) -> None:
        """Makes it the last one.

        Raises:
          InputError: the file cannot be written.
        """
        content = json.dumps(dataclasses.asdict(self), indent=2)
        storage.replace(record, f"{content}\n".encode())

    @classmethod
    def read(cls, record: str) -> Self | None:
        """The last one; None where there is no record yet.

        Raises:
          InputError: the file holds something else, or the model is gone.
        """
        if not storage.exists(record):
            return None
        try:
            found = cls(**json.loads(storage.read_bytes(record)))
        except (TypeError, ValueError):
            raise InputError(
                f"{record} is no record of a blessed model; remove it, or name another file as `record`."
            ) from None
        if not storage.names(found.model_uri):
            raise InputError(
                f"{record} says that {found.model_uri} was the last blessed model, but there is no model; restore it, "
                "or remove the record to go on without a baseline."
            )
        return found
