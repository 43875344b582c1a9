"""Components that keep the last blessed model in a file, for backends that cannot be asked for earlier artifacts."""
