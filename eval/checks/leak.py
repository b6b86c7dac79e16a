"""Prompt or chat text inside an impression, as in "Modality: CT" or "<|im_end|>".

Covers the control tokens of the usual model families, roles at a line's start, the prompt's own
field labels and instruction, and what assistants say about themselves. Hard: one is too many.

    "Normal.<|im_end|>"   "[INST] Normal."   "Findings: clear."   "As an AI language model"    noticed
    "See findings: above."   "Collecting system: no dilatation."   "Exam: limited."            silent

Does not cover text of the prompt in other words.
"""

from __future__ import annotations

import re

from radimpress.eval.checks.notice import Notice
from radimpress.eval.checks.phrases import listed
from radimpress.eval.checks.reading import Reading
from radimpress.reports.prompt import SYSTEM

# What a radiologist begins no line with: speakers, and labels of the prompt. "Exam:" and "Comparison:" are written.
_LABELS = r"(?:modality|impression|indication|findings)[ \t]{0,3}:"
_SPEAKERS = r"(?:user|assistant|human|instruction|prompt|output|input)[ \t]{0,3}:"
# The end of "collecting system" may stand on a line of its own.
_NO_SYSTEM = "".join(
    rf"(?<!{kind}\n)"
    for kind in sorted(
        listed(
            "collecting ventricular venous biliary nervous skeletal ductal portal conduction urinary calyceal caliceal "
            "lymphatic arterial drainage fixation vertebrobasilar the this ,"
        )
    )
)
_LEAK = re.compile(
    rf"{re.escape(SYSTEM)}|"
    r"<\|[^<|]{0,40}\|?>?|\|>|\[/?INST\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>|</?(?:bos|eos|pad|unk|think|thinking|system|"
    r"user|assistant|tool_call|human|im_start|im_end)>|\[(?:PAD|UNK|CLS|SEP|MASK|BOS|EOS)\]|<0x[0-9A-F]{2}>|```|<\uff5c|"
    r"\{\{.{0,40}\}\}|(?<!#)#{2,6}[ \t]{0,3}[a-z]|"
    rf"(?:^[ \t]*|[.;!?][ \t]{{1,3}}){_LABELS}|^[ \t]*{_SPEAKERS}|^[ \t]*(?:assistant|user)[ \t]*$|"
    rf"^{_NO_SYSTEM}[ \t]*system[ \t]*(?::|$)|"
    r"\byou are an? (?:[a-z]{1,20} ){0,3}(?:radiologist|assistant|model)\b|\bwrite (?:the|an) impression\b|"
    r"\bas an ai\b|\b(?:ai|language|large language) (?:language )?model\b|\bi(?:'m| am) (?:sorry[,.]|an ai\b|"
    r"unable to (?:assist|help|provide|write|generate|answer)\b)|"
    r"\b(?:here is|here's|below is) (?:the|an?|your) (?:[a-z]{1,20} )?(?:impression|summary|report)\b|"
    r"\A\s*(?:certainly|sure|of course)(?:!|[,.:]? (?:here|below|i|i'll|let me|the (?:impression|summary|report))\b)|"
    r"\b(?:system prompt|ignore (?:all |the )?(?:previous|above) instructions)\b|"
    r"\bbased on the (?:(?:provided|given) (?:findings|report)|(?:findings|report) (?:you )?provided)\b|"
    r"\blet me know if you\b",
    re.IGNORECASE | re.MULTILINE,
)


def check(reading: Reading) -> Notice | None:
    """Notices chat tokens, speakers and the prompt's field labels at a line's start, and the instruction."""
    leak = _LEAK.search(reading.text)
    return Notice("prompt or chat text stands in it", *leak.span()) if leak else None
