"""Images distilled from a network's batch norms alone: DSG and ZeroQ, how diverse they are, and where they are kept."""
