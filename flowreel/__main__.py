"""`python -m flowreel COMMAND`: the same as `flowreel COMMAND`; what a Ray job's entrypoint uses."""

from flowreel.jobs.__main__ import main_of_module

if __name__ == "__main__":
    main_of_module()
