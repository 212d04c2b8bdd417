"""What training minimises: the losses of generated clips and the discriminators behind them."""
