"""One case, whatever it does."""

from __future__ import annotations

from fuzzing.case import Case, Result, fault_of


def run_case(case: Case, index: int) -> Result:
    """Runs a case; an exception that it lets through is a violation, and none of ours."""
    try:
        return case(index)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - that is what is looked for
        result = Result(violations=[f"not caught by the case: {fault_of(error) or error!r}"])
        result.counts["exceptions not ours"] += 1
        return result
