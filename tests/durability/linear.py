"""Whether a history of one key can be put in an order: each operation takes effect at one moment between its start and its
end, and every read sees the last write before it (Herlihy and Wing, "Linearizability", 1990). The search is Wing and Gong's,
with the states that were tried before remembered."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Op:
    """An operation: when it was sent and when its answer was there. A write without an answer may take effect at any time
    after its start, or never."""

    start: float
    end: float | None
    kind: str  # "write", "delete", "read", or "change": of what is there, which must be something
    value: object = None  # what was written or read; None: nothing was there. Of a change: a function of what is there


def is_linearizable(history, initial=None):
    ops = sorted((op for op in history if op.kind != "read" or op.end is not None), key=lambda op: op.start)
    ends = [float("inf") if op.end is None else op.end for op in ops]
    must = sum(1 << n for n, op in enumerate(ops) if op.end is not None)
    tried = set()
    stack = [(0, initial)]
    while stack:
        done, value = stack.pop()
        if done & must == must:
            return True
        if (done, value) in tried:
            continue
        tried.add((done, value))
        rest = [n for n in range(len(ops)) if not done >> n & 1]
        # Nothing can come before what had ended when it began.
        horizon = min(ends[n] for n in rest)
        candidates = [n for n in rest if ops[n].start <= horizon]
        # A read that fits can only be in the way later.
        fitting = [n for n in candidates if ops[n].kind == "read" and ops[n].value == value]
        if fitting:
            stack.append((done | sum(1 << n for n in fitting), value))
            continue
        for n in candidates:
            if ops[n].kind == "write":
                stack.append((done | 1 << n, ops[n].value))
            elif ops[n].kind == "delete":
                stack.append((done | 1 << n, None))
            elif ops[n].kind == "change" and value is not None:
                stack.append((done | 1 << n, ops[n].value(value)))
    return False


def is_atomic_register(history, initial=None):
    """The same for writes that all differ, reads, and nothing else, in a crowd for which the search would take too long: by the
    zones of Gibbons and Korach ("Testing Shared Memories", 1997). All that belongs to one value happens between the first end
    and the last start in it. Where these are so ordered, no two values can share that time; where they are not, the value may
    be squeezed into any moment of it that no other value needs."""
    never = float("-inf")
    values = {initial: [Op(never, never, "write", initial)]}
    for op in history:
        if op.kind == "write":
            values[op.value] = [op]
    for op in history:
        if op.kind == "read":
            if op.value not in values or op.end < values[op.value][0].start:
                return False
            values[op.value].append(op)
    zones = [(min(op.end for op in ops), max(op.start for op in ops)) for ops in values.values()]
    forward = sorted(zone for zone in zones if zone[0] < zone[1])
    backward = [(start, end) for end, start in zones if end >= start]
    if any(later[0] < earlier[1] for earlier, later in zip(forward, forward[1:], strict=False)):
        return False
    return not any(first < start and end < last for first, last in forward for start, end in backward)
