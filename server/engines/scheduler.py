"""Which requests take part in the next step: continuous batching, without a word of torch.

A request waits until it has a row of the cache and its adapter has a slot; its prompt is read in chunks
beside the others' decoding; it leaves its row the moment it is done (Orca, Yu et al. 2022; chunked
prefill: Sarathi, Agrawal et al. 2023).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from radimpress.reports.errors import OverloadError

BASE_SLOT = -1


@dataclass(slots=True, eq=False)
class Sequence:
    """One request on its way through the engine.

    Attributes:
        prompt: its token ids.
        key: digest of its adapter; empty for the base model.
        max_tokens: to write at most.
        deadline: seconds on the scheduler's clock; None waits for ever.
        written: token ids so far, without the stop token.
        finish: "stop" or "length" once it is done.
        dropped: set by whoever asked, to leave at the next step.
        row: of the cache; -1 while it waits.
        slot: of its adapter; BASE_SLOT for the base model.
        opening: tokens at its beginning that every prompt has.
        read: tokens of the prompt in the cache.
        since: when it began to wait.
    """

    prompt: list[int]
    key: str
    max_tokens: int
    deadline: float | None = None
    opening: int = 0
    written: list[int] = field(default_factory=list)
    finish: str = ""
    dropped: bool = False
    row: int = -1
    slot: int = BASE_SLOT
    read: int = 0
    since: float = 0.0

    def late(self, now: float) -> bool:
        """Whether its deadline has passed."""
        return self.deadline is not None and now > self.deadline


@dataclass(frozen=True, slots=True)
class Chunk:
    """Tokens start to stop of a prompt, to be read in this step."""

    sequence: Sequence
    start: int
    stop: int

    @property
    def last(self) -> bool:
        """Whether the prompt ends here, so that the first token is written."""
        return self.stop == len(self.sequence.prompt)


@dataclass(frozen=True, slots=True)
class Step:
    """What the model does next.

    Attributes:
        decodes: sequences that write one more token.
        chunks: parts of prompts to read.
        installs: adapters to put into slots first, as (slot, key).
        copies: sequences whose opening is copied into their row before anything is read.
    """

    decodes: list[Sequence]
    chunks: list[Chunk]
    installs: list[tuple[int, str]]
    copies: list[Sequence]


class Residency:
    """Which adapter is in which slot; the one not used for longest leaves, never one in use.

    Args:
        slots: on the device.

    Attributes:
        opened: adapters in slots, and the base model, for which the opening of all prompts is kept.
    """

    def __init__(self, slots: int) -> None:
        self.opened: set[str] = set()
        self._slot_of: OrderedDict[str, int] = OrderedDict()
        self._free = list(range(slots))[::-1]
        self._users: dict[str, int] = {}

    def acquire(self, key: str) -> tuple[int, bool] | None:
        """A slot for one more user of `key`, and whether the adapter must still be put there; None: all are in use."""
        slot = self._slot_of.get(key)
        fresh = slot is None
        if slot is None:
            if not self._free:
                oldest = next((held for held in self._slot_of if not self._users.get(held)), None)
                if oldest is None:
                    return None
                self.forget(oldest)
            slot = self._free.pop()
            self._slot_of[key] = slot
        self._slot_of.move_to_end(key)
        self._users[key] = self._users.get(key, 0) + 1
        return slot, fresh

    def release(self, key: str) -> None:
        """One user less."""
        self._users[key] -= 1
        if not self._users[key]:
            del self._users[key]

    def forget(self, key: str) -> None:
        """Empties a slot that nobody uses."""
        self.opened.discard(key)
        slot = self._slot_of.pop(key, None)
        if slot is not None:
            self._free.append(slot)

    def held(self) -> set[str]:
        """The adapters in slots."""
        return set(self._slot_of)


class Scheduler:
    """Rows of the cache and slots of adapters, given out in order of arrival.

    Args:
        rows: sequences decoded together at most.
        chunk: tokens of prompts read in one step at most.
        waiting: sequences that may wait; one more is refused.
        slots: adapters on the device at most.
        patience: seconds after which one that finds every slot in use bars later ones from entering.
    """

    def __init__(self, *, rows: int, chunk: int, waiting: int, slots: int, patience: float = 1.0) -> None:
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self.residency = Residency(slots)
        self._free = list(range(rows))[::-1]
        self._chunk = chunk
        self._limit = waiting
        self._patience = patience

    def submit(self, sequence: Sequence, now: float) -> None:
        """Lets a sequence wait.

        Raises:
            OverloadError: too many wait already.
        """
        if len(self.waiting) >= self._limit:
            raise OverloadError(f"{self._limit} requests are waiting already")
        sequence.since = now
        self.waiting.append(sequence)

    def leave(self, sequence: Sequence) -> None:
        """Frees the row and the slot's use of a sequence that is done, or the place where it waits."""
        if sequence.row < 0:
            self.waiting.remove(sequence)
            return
        self.running.remove(sequence)
        self._free.append(sequence.row)
        # The lowest row first: attention runs over all rows up to the highest in use.
        self._free.sort(reverse=True)
        sequence.row = -1
        if sequence.key:
            self.residency.release(sequence.key)

    def step(self, now: float, ready: Callable[[str], bool]) -> Step:
        """Lets in whoever can enter and says what to do; an empty step when there is nothing.

        Args:
            now: seconds on the clock of the deadlines.
            ready: whether an adapter can be put into a slot at once.
        """
        entered = len(self.running)
        installs = self._enter(now, ready)
        copies = [one for one in self.running[entered:] if one.opening and one.key in self.residency.opened]
        for one in copies:
            one.read = one.opening
        decodes = [one for one in self.running if one.read == len(one.prompt)]
        chunks: list[Chunk] = []
        room = self._chunk
        for one in self.running:
            part = min(room, len(one.prompt) - one.read)
            if part > 0:
                chunks.append(Chunk(one, one.read, one.read + part))
                room -= part
        return Step(decodes, chunks, installs, copies)

    def _enter(self, now: float, ready: Callable[[str], bool]) -> list[tuple[int, str]]:
        installs: list[tuple[int, str]] = []
        for one in list(self.waiting):
            if not self._free:
                break
            if one.key:
                if one.key not in self.residency.held() and not ready(one.key):
                    continue
                got = self.residency.acquire(one.key)
                if got is None:
                    if now - one.since > self._patience:
                        break
                    continue
                one.slot, fresh = got
                if fresh:
                    installs.append((one.slot, one.key))
            self.waiting.remove(one)
            one.row = self._free.pop()
            self.running.append(one)
        return installs
