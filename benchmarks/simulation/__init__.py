"""The real dispatcher, actors, ledger and records with generators that only sleep: what scale costs, without GPUs."""
