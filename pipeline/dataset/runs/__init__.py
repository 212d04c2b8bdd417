"""Runs that are not published yet: their plan, outcomes, lease and log, in `runs/<plan_id>/` of a dataset."""
