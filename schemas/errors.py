"""The errors that Flowreel raises on purpose. Messages name the object, the value, the bound and the next step."""


class FlowreelError(Exception):
    """Base of all errors that a user can act on; the command line prints the message without a traceback."""

    exit_code = 1


class UsageError(FlowreelError):
    """The command or the spec is wrong, or the input it names cannot be used: nothing was rendered."""

    exit_code = 2


class SourceError(UsageError):
    """Label maps, instance maps or images that cannot be used, each problem with sequence and frame."""


class StorageError(UsageError):
    """A bucket or folder that cannot be listed, read or written."""


class CheckpointError(UsageError):
    """A generator checkpoint that is missing, unreadable or does not match its configuration."""


class IntegrityError(FlowreelError):
    """Stored bytes that differ from what their version or name promises."""


class DivergedError(FlowreelError):
    """Training whose losses, gradients or weights are not finite any more, or that ended worse than it began."""


class Stopped(FlowreelError):
    """A run that was stopped by SIGTERM, as when its machine is taken away; the same command resumes it."""

    exit_code = 143  # as shells have it: 128 + SIGTERM


class DeviceLost(Exception):
    """A GPU, or a process's hold on it, is gone: whatever that process asks of it from now on fails."""
