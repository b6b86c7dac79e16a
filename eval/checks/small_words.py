"""Words that say nothing about what is found or where."""

from __future__ import annotations

from radimpress.eval.checks.phrases import listed

SMALL = listed(
    "the a an of in on at to for from by with without and or nor but is are was were be been being has have had there "
    "this that these those it its as also than then so if no not which who where within into over under about along "
    "through during between among may might can could would should will do does did such very only just both all any "
    "some other another otherwise again now up out per via i , : ( ) - / % [ ] + = \" ' * # & < >"
)
