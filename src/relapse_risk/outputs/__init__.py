"""Outputs: visit lists and what stands beside them."""
