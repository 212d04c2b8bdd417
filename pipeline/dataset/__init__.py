"""What lies in a dataset's folder: versions, manifests and data files; `runs` has what unfinished runs leave."""
