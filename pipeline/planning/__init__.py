"""A spec -> everything opened and checked, and the plan. Read `prepare.py` first; `balance` reaches class shares."""
