"""Ray on a machine that others use too."""

BUSY = {  # Ray's settings for a machine with other things to do
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",  # 15 would leave workers no time
    "RAY_raylet_start_wait_time_s": "300",
}
