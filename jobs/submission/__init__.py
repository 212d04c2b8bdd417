"""What travels to a cluster with a job, and how its log comes back."""
