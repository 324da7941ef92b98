"""The training path: history windows in, an artifact directory out, nothing else crosses."""
