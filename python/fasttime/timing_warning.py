# SPDX-License-Identifier: BSD-3-Clause
"""Warnings about numbers, as values that every result carries."""

from __future__ import annotations


class TimingWarning(UserWarning):
    """A reason to distrust a number, or something to know before you use it.

    Every result has a tuple of warnings, `warnings`. Two warnings are equal if they have the same
    kind and message. You can pass a warning to Python's ``warnings.warn``.

    Attributes:
        kind: a short name, such as ``throttled``. It stays the same between releases.
        message: what happened, what this means for the number, and what you can do.

    >>> print(TimingWarning("throttled", "The GPU hit its power limit."))
    warning (throttled): The GPU hit its power limit.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(kind, message)  # pickle and copy pass these arguments again
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
