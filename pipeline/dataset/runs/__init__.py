"""Records of runs that are not published yet: plan, outcomes, lease and log, in `runs/<plan_id>/` of a dataset."""
