"""What a radiologist signed: how far the answer was from it, and which checks had been right."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from radimpress.eval.checks import annotate
from radimpress.eval.metrics.rouge import rouge_l
from radimpress.reports.errors import InputError, NotFoundError
from radimpress.reports.prompt import FINDINGS_MAX
from radimpress.reports.report import Report
from radimpress.server.messages import report_of
from radimpress.server.once import fingerprint
from radimpress.server.registry import Journal, Signed
from radimpress.v1 import impression_pb2


@dataclass(frozen=True, slots=True)
class Comparison:
    """An answer beside the signed text.

    Attributes:
        edit_distance: words to insert, delete or replace, over the words of the longer text; in [0, 1].
        rouge_l: F1, in [0, 1].
        unchanged: whether it was signed word for word.
        checks_right: check that had noticed something -> whether the signed text no longer shows it.
    """

    edit_distance: float
    rouge_l: float
    unchanged: bool
    checks_right: dict[str, bool]


async def take_signed(
    request: impression_pb2.RecordFinalImpressionRequest, journal: Journal, secret: bytes
) -> tuple[impression_pb2.Impression, Comparison]:
    """Compares what was signed with what was answered, and writes it down; gives the answer as it was.

    Args:
        request: with the report, by which it is known to be about the same one.
        journal: holds the answers.
        secret: the key of the answers' fingerprints.

    Raises:
        InputError: a field is empty or too long, or the report is not the one that was asked about.
        NotFoundError: the clinic has no such answer, or none that is still kept.
    """
    report = report_of(request.request_id, request.report)
    final = request.final_impression.strip()
    for field, text in (("request_id", request.request_id), ("final_impression", final)):
        if not text:
            raise InputError(field, "is empty")
    if len(request.final_impression) > FINDINGS_MAX:
        told = f"has {len(request.final_impression)} characters; at most {FINDINGS_MAX} are read"
        raise InputError("final_impression", told)
    answer = await journal.find(report.clinic, report.id)
    if answer is None:
        raise NotFoundError("the clinic has no answer with this request_id, or it was kept long enough")
    if answer.asked != fingerprint(report, secret):
        raise InputError("report", "is not the one that was asked about")
    impression = impression_pb2.Impression.FromString(answer.message)
    # In a thread: texts of the greatest length take a second.
    found = await asyncio.to_thread(compare, report, impression.text, final, answer.checks)
    await journal.sign(
        Signed(
            clinic=report.clinic,
            request_id=report.id,
            edit_distance=found.edit_distance,
            rouge_l=found.rouge_l,
            unchanged=found.unchanged,
            checks_right=found.checks_right,
            report=request.report.SerializeToString(deterministic=True),
            final=final.encode(),
            created=datetime.now(UTC),
        )
    )
    return impression, found


def compare(report: Report, answer: str, final: str, noticed: Sequence[str]) -> Comparison:
    """An answer beside the signed text; pure.

    Args:
        report: of both.
        answer: the impression that was answered.
        final: the impression that was signed.
        noticed: the checks that had noticed something in the answer.
    """
    ours, theirs = answer.split(), final.split()
    still = annotate(report, final) if noticed else {}
    longer = max(len(ours), len(theirs), 1)
    return Comparison(
        edit_distance=edits(ours, theirs) / longer,
        rouge_l=rouge_l(answer, final),
        unchanged=ours == theirs,
        checks_right={check: check not in still for check in noticed},
    )


def edits(ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Words to insert, delete or replace (Levenshtein 1966), a row of the table at a time."""
    ours, theirs = _without_ends(ours, theirs)
    if not ours or not theirs:
        return max(len(ours), len(theirs))
    numbers = {word: at for at, word in enumerate({*ours, *theirs})}
    columns = np.array([numbers[word] for word in theirs])
    places = np.arange(len(theirs) + 1)
    row = places
    for at, word in enumerate(ours, start=1):
        replaced = row[:-1] + (columns != numbers[word])
        row = np.concatenate(([at], np.minimum(replaced, row[1:] + 1)))
        # Insertions lead along the row: each place is the least of all before it and the steps between.
        row = np.minimum.accumulate(row - places) + places
    return int(row[-1])


def _without_ends(ours: Sequence[str], theirs: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Both without the words that they begin and end with alike."""
    first, shorter = 0, min(len(ours), len(theirs))
    while first < shorter and ours[first] == theirs[first]:
        first += 1
    last = 0
    while last < shorter - first and ours[-1 - last] == theirs[-1 - last]:
        last += 1
    return ours[first : len(ours) - last], theirs[first : len(theirs) - last]
