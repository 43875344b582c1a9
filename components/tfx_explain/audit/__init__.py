"""What ML Metadata says of explanations, verdicts and pushes, asked without ever writing to it.

    stores      a store by its address, read only: a file of SQLite (sqlite_store), a database of MySQL (mysql_store)
    lineage     the artifacts and executions that matter, read in few queries however large the store is
    cases       what was explained, judged and pushed; joining makes them of a lineage
    choosing    the cases that were asked for: of a model, since a day, pushed
    checks      digests computed again: unchanged, changed, gone, or not recorded
    log         an append-only file of verdicts, each line with the digest of the one before; logged is what it holds
    showing     cases and checks as lines, JSON and CSV

ML Metadata's own client creates tables and types where it opens a store that lacks them, so its tables are read by SQL.
"""
