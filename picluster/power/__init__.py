"""Outlets: what cuts and restores the power of a board. Every switch is read back; "unknown" is never "off"."""
