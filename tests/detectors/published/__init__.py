"""Parity with published code: a rule that fills the weights of any network, and what that code computed with it."""
