"""The quirks of known clients, by their User-Agent (docs/contract.md, "Types in answers")."""

from __future__ import annotations

# These refuse a JSON number where the published table says String; Terraform breaks on a string.
DIGIT_STRING_AGENTS = ("huaweicloud-usdk-go/", "huaweicloud-usdk-java/")


def wants_digit_string(user_agent: str) -> bool:
    """Return whether `createAt` must be a string of digits for this client; it is a number for all others."""
    return user_agent.startswith(DIGIT_STRING_AGENTS)
