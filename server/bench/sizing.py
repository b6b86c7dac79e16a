"""`radimpress bench sizing`: how many servers a number of hospitals needs in the busiest hour, by simulation.

Requests come at random (Poisson) and go round all servers, as gRPC clients send them. A server works on `batch` at
once, first come first served, and each of these has an equal part of what the server does, also when others are
idle: so times at low load are too long, and at high load as measured. Lengths vary (lognormal, coefficient of
variation 0.6). Loading an adapter takes milliseconds beside an answer's seconds and is left out, as are retries.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np

from radimpress.reports.errors import InputError

_VARIATION = 0.6
# Beyond this an hour that is a little busier makes queues that do not end with it, which one hour does not show.
_BUSY_MAX = 0.85
_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Load:
    """What comes.

    Attributes:
        reports: of a hospital a day.
        busiest: share of a day's reports that its busiest hour has.
        read: tokens of a prompt, on average.
        write: tokens of an impression, on average.
    """

    reports: float = 300.0
    busiest: float = 0.12
    read: float = 350.0
    write: float = 60.0

    def rate(self, hospitals: int) -> float:
        """Requests a second in the busiest hour; all hospitals have it at once."""
        return hospitals * self.reports * self.busiest / _SECONDS


@dataclass(frozen=True, slots=True)
class Server:
    """What one server does, all requests of a batch together.

    Attributes:
        reads: tokens a second.
        writes: tokens a second.
        batch: requests at once.
    """

    reads: float = 410.0
    writes: float = 144.0
    batch: int = 16

    def work(self, load: Load) -> float:
        """Seconds of a whole server that a request takes, on average."""
        return load.read / self.reads + load.write / self.writes


@dataclass(frozen=True, slots=True)
class Need:
    """What so many hospitals need.

    Attributes:
        hospitals: how many.
        requests_per_second: in the busiest hour.
        servers: the fewest with which 95% of answers are there in time.
        busy: share of these servers' work that is asked for.
        p50_seconds: of an answer, from request to its end.
        p95_seconds: the same.
    """

    hospitals: int
    requests_per_second: float
    servers: int
    busy: float
    p50_seconds: float
    p95_seconds: float


def need(hospitals: int, load: Load, server: Server, within: float, seed: int = 7) -> Need:
    """The fewest servers, at most 85% busy, with which 95% of the busiest hour's answers are there in time.

    Args:
        hospitals: how many.
        load: of one.
        server: what one does.
        within: seconds that an answer may take.
        seed: of the random numbers.

    Raises:
        InputError: no number of servers can: a request that waits for nobody takes longer.
    """
    rate, work = load.rate(hospitals), server.work(load)
    servers = max(1, math.ceil(rate * work / _BUSY_MAX))
    # Beyond this nobody waits any more.
    most = max(servers * 4, servers + 8)
    while True:
        seconds = simulate(rate, load, server, servers, seed)
        low, high = (float(np.quantile(seconds, share)) for share in (0.5, 0.95))
        if high <= within:
            return Need(hospitals, rate, servers, rate * work / servers, low, high)
        if servers >= most:
            raise InputError("within", f"{within:g} s cannot be held: an answer takes {high:.1f} s with nobody waiting")
        servers = min(most, max(servers + 1, math.ceil(servers * 1.02)))


def simulate(rate: float, load: Load, server: Server, servers: int, seed: int) -> np.ndarray:
    """Seconds from request to answer, of every request of one hour, at least two thousand.

    Args:
        rate: requests a second.
        load: their lengths.
        server: what one does.
        servers: how many.
        seed: of the random numbers.
    """
    random = np.random.default_rng(seed)
    count = max(2000, int(rate * _SECONDS))
    arrivals = np.cumsum(random.exponential(1 / rate, count))
    spread = math.sqrt(math.log1p(_VARIATION**2))
    reads, writes = (mean * random.lognormal(-(spread**2) / 2, spread, count) for mean in (load.read, load.write))
    services = server.batch * (reads / server.reads + writes / server.writes)
    taken = np.empty(count)
    for place in range(servers):
        free = [0.0] * server.batch
        for number in range(place, count, servers):
            ends = max(arrivals[number], free[0]) + services[number]
            heapq.heapreplace(free, ends)
            taken[number] = ends - arrivals[number]
    return taken
