"""Wiring: builds a Logkeep from its settings. The only folder that names concrete classes."""
