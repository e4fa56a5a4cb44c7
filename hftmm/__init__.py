"""A terminal workstation for market making and arbitrage across Binance, Bybit and OKX."""

__version__ = "0.1.0"
