"""Prompt or chat text inside an impression, as in "Findings: ..." or "<|im_end|>".

Does not cover text of the prompt in other words.
"""

from __future__ import annotations

import re

from radimpress.reports.prompt import SYSTEM

_LEAK = re.compile(r"<\|[^|]*\|?>?|^\s*(?:modality|exam|indication|findings)\s*:", re.IGNORECASE | re.MULTILINE)


def check(findings: str, impression: str) -> str | None:
    """Notices chat tokens, the prompt's field labels at a line's start, and the instruction."""
    del findings
    if _LEAK.search(impression) or SYSTEM.lower() in impression.lower():
        return "prompt or chat text stands in the impression"
    return None
