# KubeRay starts Ray from a login shell, and Debian resets PATH for those.
PATH=/opt/flowreel/bin:$PATH
