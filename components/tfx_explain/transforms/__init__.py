"""The Beam job: reading, choosing, explaining, summarising, writing."""
