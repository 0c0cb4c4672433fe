"""Serving a team: who somebody is, what is theirs, how much they may take, and what they did."""
