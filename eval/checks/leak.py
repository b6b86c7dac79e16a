"""Prompt or chat text inside an impression, as in "Modality: CT" or "<|im_end|>".

Covers the control tokens of the usual model families, roles at a line's start, the prompt's own
field labels and instruction, and what assistants say about themselves. Hard: one is too many.

    "Normal.<|im_end|>"   "[INST] Normal."   "Findings: clear."   "As an AI language model"    noticed
    "See findings: above."   "Limited exam."                                                   silent

Does not cover text of the prompt in other words.
"""

from __future__ import annotations

import re

from radimpress.eval.checks.notice import Notice
from radimpress.eval.checks.reading import Reading
from radimpress.reports.prompt import SYSTEM

_LEAK = re.compile(
    r"<\|[^|]*\|?>?|\|>|\[/?INST\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>|</?(?:bos|eos|pad|unk|think|thinking|system|"
    r"user|assistant|tool_call|human|im_start|im_end)>|\[(?:PAD|UNK|CLS|SEP|MASK|BOS|EOS)\]|<0x[0-9A-F]{2}>|```|<\uff5c|"
    r"#{2,}\s*[a-z]|"
    r"(?:^|[.;!?] )[ \t]*(?:modality|impression|exam|indication|findings|comparison|user|assistant|system|human|"
    r"instructions?|response|"
    r"prompt|ai|"
    r"output|input)\s*:|\b(?:modality|system|assistant|user)\s*:|^[ \t]*(?:assistant|system|user)[ \t]*$|"
    r"\byou are an? (?:[a-z]+ ){0,3}(?:radiologist|assistant|model)\b|\bwrite (?:the|an) impression\b|"
    r"\bas an ai\b|\b(?:ai|language|large language) (?:language )?model\b|\bi(?:'m| am) (?:sorry|an ai|unable to)\b|"
    r"\b(?:here is|here's|below is) (?:the|an?|your) (?:[a-z]+ )?(?:impression|summary|report)\b|"
    r"\b(?:certainly|sure|of course)[!,] |\b(?:system prompt|ignore (?:all |the )?(?:previous|above) instructions)\b|"
    r"\bbased on the (?:findings|report) (?:provided|above|given)|\{\{.{0,40}\}\}|\blet me know if\b",
    re.IGNORECASE | re.MULTILINE,
)


def check(reading: Reading) -> Notice | None:
    """Notices chat tokens, the prompt's field labels at a line's start, and the instruction."""
    leak = _LEAK.search(reading.text)
    if leak:
        return Notice("prompt or chat text stands in it", *leak.span())
    at = reading.text.lower().find(SYSTEM.lower())
    return Notice("prompt or chat text stands in it", at, at + len(SYSTEM)) if at >= 0 else None
