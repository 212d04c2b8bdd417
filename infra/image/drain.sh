#!/bin/sh
# A worker pod's preStop hook. Ray stops placing work here and treats the end of this node as a preemption, which counts
# against no clip. Then waits for Ray to leave, for at most SECONDS.
set -u
seconds=${1:?usage: flowreel-drain SECONDS}
ray drain-node --reason DRAIN_NODE_REASON_PREEMPTION --reason-message "the pod is being stopped" \
  --deadline-remaining-seconds "$seconds" || exit 0
while [ "$seconds" -gt 0 ] && pgrep -x raylet >/dev/null; do
  sleep 1
  seconds=$((seconds - 1))
done
