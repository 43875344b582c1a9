"""What the command line answers programs. No other code is ever given."""

from __future__ import annotations

DONE = 0
"""What was asked for is there; of `validate`: the explanation meets the policy."""

REFUSED = 1
"""The explanation does not meet the policy (`validate`), or something is not as it was recorded (`audit`)."""

NO_VERDICT = 2
"""Bad input, and whatever else goes wrong."""

ALL_SKIPPED = 3
"""Every rule was skipped; of `validate` alone."""

INTERRUPTED = 130
"""By Ctrl-C or SIGTERM."""
