"""Everything in a dataset's folder: versions, manifests and data files; `runs` has the records of unfinished runs."""
