"""Pools by what calls wait for, so that what one call waits for never holds up another kind, or another tenant."""

from __future__ import annotations

from logkeep.contract.operation import WaitsFor
from logkeep.http.pools import Pool, Rule

# Longer than what these calls wait for is patient, so that the true cause is told where there is one: a node has 30
# seconds to answer, a bucket three times 18, and SQLite waits for its lock for 30.
RULES = {
    WaitsFor.READS: Rule(threads=8, each=4, waiting=512, waiting_each=256, seconds=30, overdue=8),
    WaitsFor.WRITES: Rule(threads=8, each=4, waiting=256, waiting_each=64, seconds=40, overdue=8),
    WaitsFor.SIGN_IN: Rule(threads=4, each=2, waiting=128, waiting_each=16, seconds=10, overdue=4),
    WaitsFor.NODES: Rule(threads=16, each=4, waiting=128, waiting_each=32, seconds=45, overdue=16),
    WaitsFor.BUCKETS: Rule(threads=24, each=6, waiting=256, waiting_each=64, seconds=90, overdue=24),
}
# Finding a key or a token of who is a stranger yet; a tenant is an address here.
STRANGERS = Rule(threads=4, each=2, waiting=512, waiting_each=128, seconds=15, overdue=4)
# The same of who was right at the same address some time ago: strangers there do not hold him up.
CALLERS = Rule(threads=4, each=2, waiting=512, waiting_each=128, seconds=15, overdue=4)
# Writing of a call that was refused into the audit, for which nobody waits long.
AUDIT = Rule(threads=2, each=2, waiting=128, waiting_each=128, seconds=5, overdue=2)


class Pools:
    """Those of one service, made when its loop runs."""

    def __init__(self) -> None:
        self._pools = {one: Pool(one.name.lower(), rule, one.value) for one, rule in RULES.items()}
        self.strangers = Pool("strangers", STRANGERS, "looking up keys")
        self.callers = Pool("callers", CALLERS, "looking up keys")
        self.audit = Pool("audit", AUDIT, "the audit")

    def __getitem__(self, waits_for: WaitsFor) -> Pool:
        return self._pools[waits_for]

    def close(self) -> None:
        for pool in (*self._pools.values(), self.strangers, self.callers, self.audit):
            pool.close()
