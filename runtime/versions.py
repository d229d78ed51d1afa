"""The versions of the packages that are installed."""

from importlib.metadata import PackageNotFoundError, version


def version_of(distribution: str) -> str:
    """Return the version of a distribution; ``unknown`` where it lacks its metadata, as in a frozen program."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"
