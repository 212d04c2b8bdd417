"""The commands, one file each: `cli.py` lists them. `engine/` runs them on Ray, `terminal/` is what people see."""
