"""The append-only log of a project, and the states that plans reach through it.

The log is the record of who decided what, when and why. A line is never changed: a plan's state is
what its lines add up to. Three things make a change show:

- every line carries the digest of all lines before it, so that none can be edited, moved, doubled
  or taken out of the middle;
- the file ``log.head`` beside the log counts the lines and holds their digest, so that none can be
  cut off at the end;
- a line that the rules of this package would not have written, such as a second approval of the
  same hours, is refused when it is read.

Logs of earlier versions have lines without a digest. They are read as they are; the first line that
is appended covers them all. ``docs/design/trust.md`` says what this protects from, and what not.
"""

from dagcast.journal._chain import Contents, Damage
from dagcast.journal._entry import PROPOSALS, RENEWALS, Entry, made_by
from dagcast.journal._journal import Journal
from dagcast.journal._plans import (
    CARRIED_OUT,
    Decision,
    PlanRecord,
    PlanState,
    describe,
    require_open,
)
from dagcast.journal._repair import Repair
from dagcast.journal._rules import (
    Act,
    ConflictError,
    Role,
    Rules,
    Seen,
    Verdict,
    amount_of,
    stopped,
    told,
)

__all__ = [
    "CARRIED_OUT",
    "PROPOSALS",
    "RENEWALS",
    "Act",
    "ConflictError",
    "Contents",
    "Damage",
    "Decision",
    "Entry",
    "Journal",
    "PlanRecord",
    "PlanState",
    "Repair",
    "Role",
    "Rules",
    "Seen",
    "Verdict",
    "amount_of",
    "describe",
    "made_by",
    "require_open",
    "stopped",
    "told",
]
