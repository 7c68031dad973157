"""When weights move during inference, by the names that the published configurations have."""


def when(schedule, T):
    """Return the steps, of 0..T-1, at which weights move: "last", "all", "last_half", "never", or a list of steps."""
    named = {"last": [T - 1], "all": range(T), "last_half": range(T // 2, T), "never": ()}
    return set(named[schedule] if isinstance(schedule, str) else schedule)
