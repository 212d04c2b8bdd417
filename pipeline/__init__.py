"""The steps, in the order that data flows: storage, catalog, planner, render, publish, reader. No Ray in here."""
