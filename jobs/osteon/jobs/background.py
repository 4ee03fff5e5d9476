"""One long call beside the main thread, which shows progress meanwhile and hears Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Background:
    """A call in a thread of its own, begun at once.

    Args:
        call: what is to be done.
    """

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="osteon-background", daemon=True)
        self._thread.start()

    def follow(self, every_s: float, look: Callable[[], None]) -> None:
        """Call ``look`` every so many seconds until the call is over, and once more then.

        Raises:
            BaseException: what the call raised.
        """
        while self._thread.is_alive():
            self._thread.join(every_s)
            look()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._call()
        except BaseException as error:  # handed to the main thread
            self._error = error
