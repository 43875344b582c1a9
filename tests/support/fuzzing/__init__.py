"""Hostile input by the thousand, and killed workers: what `make fuzz` runs, and in small parts `make test`.

Each family is a module with `NAME`, `SIZE` (cases of a whole run) and `prepare(seed, directory)`, which builds what the
cases share and returns the function that runs one case. A case depends on (seed, family, index) alone, so
`make fuzz FUZZ_SEED=0 FUZZ_ONLY=configurations:1234` runs a single one again.
"""
