"""How senders offer bytes while their gate is open."""
