"""From raw exports to a trusted panel: reading, validation, the store, and the synthetic county."""
