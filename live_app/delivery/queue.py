"""The frames that wait for a slow socket. Bounded: drops the oldest readings, and names them in one gap per device."""

from __future__ import annotations

from dataclasses import dataclass

from live_app.delivery import frames
from live_app.delivery.frames import Frame
from live_app.metrics import metrics

TOO_SLOW_OVERFLOWS = 3  # times `max_frames`


@dataclass(frozen=True, slots=True)
class Queued:
    """A frame in the queue. `device_id` and `last` (µs) are set if the frame moves the cursor of a device.

    `is_droppable`: the frame carries, or names, the readings from `first` to `last`.
    """

    frame: Frame
    device_id: str | None = None
    first: int = 0
    last: int = 0
    is_droppable: bool = False


class SendQueue:
    """First in, first out, at most `max_frames` frames and `max_bytes` bytes. Control frames count but are not dropped.

    `is_too_slow`: the queue overflowed TOO_SLOW_OVERFLOWS · `max_frames` times without a frame being taken, or control
    frames alone exceed `max_bytes`.
    """

    __slots__ = ("_bytes", "_frames", "_gaps", "_max_bytes", "_max_frames", "_overflows", "is_too_slow")

    def __init__(self, *, max_frames: int, max_bytes: int) -> None:
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        self._frames: list[Queued] = []
        self._bytes = 0
        self._gaps: dict[str, tuple[int, int]] = {}
        self._overflows = 0
        self.is_too_slow = False

    def __len__(self) -> int:
        """The number of frames, without gaps."""
        return len(self._frames)

    @property
    def is_empty(self) -> bool:
        return not self._frames and not self._gaps

    @property
    def has_room(self) -> bool:
        """Whether the queue is at most half full."""
        return len(self._frames) <= self._max_frames // 2 and self._bytes <= self._max_bytes // 2

    def put(self, queued: Queued) -> None:
        self._frames.append(queued)
        self._bytes += len(queued.frame.payload)
        while len(self._frames) > self._max_frames or self._bytes > self._max_bytes:
            self._overflows += 1
            is_dropped = self._drop_oldest_readings()
            is_hopeless = self._overflows >= TOO_SLOW_OVERFLOWS * self._max_frames
            self.is_too_slow |= is_hopeless or (not is_dropped and self._bytes > self._max_bytes)
            if not is_dropped:
                break

    def take(self) -> Queued:
        """The next frame. Gaps go first: dropped readings are older than all queued readings of their device."""
        self._overflows = 0
        if self._gaps:
            metrics.gaps += 1
            device_id = next(iter(self._gaps))
            first, last = self._gaps.pop(device_id)
            return Queued(frames.gap(device_id, first, last), device_id, first, last, is_droppable=True)
        queued = self._frames.pop(0)
        self._bytes -= len(queued.frame.payload)
        return queued

    def discard(self, device_id: str) -> None:
        """Remove the readings and the gap of a device."""
        self._frames = [q for q in self._frames if not (q.is_droppable and q.device_id == device_id)]
        self._bytes = sum(len(queued.frame.payload) for queued in self._frames)
        self._gaps.pop(device_id, None)

    def _drop_oldest_readings(self) -> bool:
        for index, queued in enumerate(self._frames):
            if queued.is_droppable and queued.device_id is not None:
                metrics.dropped += 1
                del self._frames[index]
                self._bytes -= len(queued.frame.payload)
                first, last = self._gaps.get(queued.device_id, (queued.first, queued.last))
                self._gaps[queued.device_id] = (min(first, queued.first), max(last, queued.last))
                return True
        return False
