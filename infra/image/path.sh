# KubeRay starts Ray from a login shell, for which Debian sets PATH anew.
PATH=/opt/flowreel/bin:$PATH
