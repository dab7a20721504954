"""Exponential back-off with jitter; the randomness is passed in."""

import random
from dataclasses import dataclass, field


@dataclass
class Backoff:
    """Delays of `first_s`, `first_s * factor`, ... up to `max_s`, each shortened by up to `jitter`.

    Jitter keeps clients that failed together from coming back together.
    """

    first_s: float = 0.1
    max_s: float = 30.0
    factor: float = 2.0
    jitter: float = 0.1
    rng: random.Random = field(default_factory=random.Random)
    failures: int = 0

    def next_delay_s(self) -> float:
        # 2**1024 is out of a float's range; no wait grows through so many failures.
        delay_s = min(self.max_s, self.first_s * self.factor ** min(self.failures, 64))
        self.failures += 1
        return delay_s * (1.0 - self.jitter * self.rng.random())

    def reset(self) -> None:
        self.failures = 0
