"""Loads: how senders offer bytes while their gate is open."""
