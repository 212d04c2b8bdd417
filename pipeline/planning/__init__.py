"""Turns a spec into a plan: everything opened and checked first. Read `prepare.py` first; `balance` reaches class
shares."""
