"""Protocols of the store; mongo/ is the one behind them."""
