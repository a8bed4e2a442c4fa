"""Loading packages in a process of their own first, so that none decides how a check ends.

What a package does when it is loaded is its team's business until it ends the process, never
returns, prints into somebody's JSON, or changes what others use. So ``dagcast check`` and the gates
of a release let a child load every package under limits of time and memory, one after another, and
name what it did there; who did that is left out of what is gone on with: by the child itself where
that is a copy of this process, so that packages are loaded once.

Nothing here keeps a package from harm: it runs with all rights of whoever started the check.
"""

from dagcast.trial._starter import Trial, done_tried, load_tried, try_packages

__all__ = ["Trial", "done_tried", "load_tried", "try_packages"]
