# SPDX-License-Identifier: BSD-3-Clause
"""A reason to distrust a number, as a value that every result carries."""

from __future__ import annotations


class TimingWarning(UserWarning):
    """A reason to distrust a number, or something to know before you use it.

    Every result has a tuple of them, `warnings`. Two warnings are equal if their kind and their
    message are equal. Python's ``warnings.warn`` accepts one as it is.

    Attributes:
        kind: a short name that stays the same between releases, such as ``throttled``.
        message: what happened, what it means for the number, and what to do.

    >>> print(TimingWarning("throttled", "The GPU hit its power limit."))
    warning (throttled): The GPU hit its power limit.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)  # so that pickling and copying work as for any exception
        self.kind = kind
        self.message = message

    def __str__(self) -> str:
        return f"warning ({self.kind}): {self.message}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TimingWarning):
            return NotImplemented
        return (self.kind, self.message) == (other.kind, other.message)

    def __hash__(self) -> int:
        return hash((self.kind, self.message))

    def to_dict(self) -> dict[str, str]:
        """Return the kind and the message under their names."""
        return {"kind": self.kind, "message": self.message}
