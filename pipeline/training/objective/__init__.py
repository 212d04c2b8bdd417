"""The training objective: the losses of generated clips, and the discriminators behind them."""
