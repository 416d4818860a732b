"""Evaluation: metrics at capacity and rolling-origin backtests."""
