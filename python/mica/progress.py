"""Progress of a training loop: iterations per second, the loss, memory, in one line.

    from mica.progress import Progress

    for batch in (bar := Progress(batches, "epoch 1")):
        loss, grads = step(batch)
        optimizer.update(model, grads)
        mx.eval(model.state, optimizer.state)
        bar.show(loss=loss)

    epoch 1:  42%|████      | 42/100 [00:03<00:04, 13.21it/s, loss=0.693, memory=12.4MB, peak=31.0MB]

The line is drawn by tqdm, to stderr, where stderr is a terminal; elsewhere, or without tqdm, the
loop runs just as silently as before. An array given to `show` is read only when the line is drawn
again, so that the loop isn't slowed by waiting for values nobody sees.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import mlx.core as mx

try:
    from tqdm import tqdm
except ImportError:  # the `llm` extra brings it
    tqdm = None


def _text(value) -> str:
    if isinstance(value, mx.array):
        if value.size != 1:
            raise ValueError(
                f"[Progress.show] shows single numbers, not an array of shape {value.shape}"
            )
        value = value.item()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _size(count: int) -> str:
    size, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    return f"{size:.3g}{units[0]}"


class Progress:
    """Iterates over `items` and draws how far it is.

    Args:
        items: what to iterate over, or how many steps to count.
        title: stands before the bar.
        total: the number of items, where `len` can't tell.
        memory: whether to show the memory that arrays take now and have taken at most.
        interval: seconds between two drawings.
        file: where to draw; drawn even if it is no terminal. Default: stderr if it is one.
    """

    def __init__(
        self,
        items: Iterable | int,
        title: str = "",
        *,
        total: int | None = None,
        memory: bool = True,
        interval: float = 0.2,
        file=None,
    ):
        self.items = range(items) if isinstance(items, int) else items
        if total is None and hasattr(self.items, "__len__"):
            total = len(self.items)
        self._memory, self._interval = memory, interval
        self._values, self._drawn = {}, 0.0
        self._bar = None
        if tqdm is not None:
            self._bar = tqdm(
                total=total,
                desc=title or None,
                file=file,
                mininterval=interval,
                disable=None if file is None else False,
                dynamic_ncols=True,
            )

    def __iter__(self):
        try:
            for item in self.items:
                yield item
                if self._bar is not None:
                    self._bar.update()
        finally:
            self.close()

    def __len__(self):
        return len(self.items)

    def show(self, **values) -> None:
        """Numbers to show behind the bar: Python numbers, strings, or arrays of one element."""
        self._values.update(values)
        now = time.monotonic()
        if self._silent() or now - self._drawn < self._interval:
            return
        self._drawn = now
        self._draw()

    def close(self) -> None:
        """Draws the last values and ends the line. Called by itself when the loop ends."""
        if not self._silent():
            self._draw()
            self._bar.close()
        self._bar, self._values = None, {}

    def _silent(self) -> bool:
        return self._bar is None or self._bar.disable

    def _draw(self) -> None:
        shown = {name: _text(value) for name, value in self._values.items()}
        if self._memory:
            shown |= {"memory": _size(mx.get_active_memory()), "peak": _size(mx.get_peak_memory())}
        self._bar.set_postfix(shown)
