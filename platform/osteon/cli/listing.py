"""What came of many cases, on screen: a line for each that needs a look, as far as they fit, and a count of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console

LISTED = 20  # lines on screen; --json has them all


def print_listing(lines: Sequence[str], dataset: str, counts: Mapping[str, int]) -> None:
    """Print the first `LISTED` lines, how many more there are, and how many cases of ``dataset`` ended how."""
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for line in lines[:LISTED]:
        console.print(line)
    if len(lines) > LISTED:
        console.print(not_listed(len(lines)))
    console.print(f"{dataset}: {', '.join(f'{number} {status}' for status, number in counts.items() if number)}")


def not_listed(count: int) -> str:
    """What to say of the lines beyond `LISTED`."""
    return f"… and {count - LISTED} more; --json lists them all"
