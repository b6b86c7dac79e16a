from __future__ import annotations

import sys
from pathlib import Path

import pytest

from radimpress.reports.prompt import extract
from radimpress.server.bench import front, vllm_server
from radimpress.server.bench.front import FrontBench, _Asked, _wrong, measure
from radimpress.server.bench.references import references
from radimpress.trainer.load import load_base
from tests.conftest import TINY
from tests.server.conftest import make_bundle

ROOT = Path(__file__).resolve().parents[3]
# In vLLM's place: what tests/server/engines/standin.py serves, by the options that vLLM would get.
STAND_IN = """#!{python}
import sys, time
from pathlib import Path

sys.path.insert(0, {root!r})
from tests.server.engines.standin import StandIn

given = dict(zip(sys.argv[3::2], sys.argv[4::2]))
with StandIn(Path(given["--model"]), context=int(given["--max-model-len"]), port=int(given["--port"])):
    time.sleep(600)
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(vllm_server, "_SWITCHES", ())
    path = tmp_path / "python"
    path.write_text(STAND_IN.format(python=sys.executable, root=str(ROOT)), "utf-8")
    path.chmod(0o755)
    monkeypatch.setattr(front, "vllm_python", lambda track: path)
    return path


def test_every_figure_is_measured(tiny_folder: Path, stand_in: Path, tmp_path: Path) -> None:
    bench = FrontBench(base=TINY, model=tiny_folder, folder=tmp_path / "bench", rounds=1, requests=4, alone=1)
    bench.folder.mkdir()
    figures = measure(bench)
    assert set(figures) == {"throughput_ratio", "p50_added_ms", "wrong_answers", "answers"}
    assert figures["throughput_ratio"].value > 0
    assert (figures["wrong_answers"].value, figures["answers"].value) == (0, 8)


def test_an_answer_that_is_not_pefts_is_wrong_and_one_that_is_is_not(tiny_folder: Path, tmp_path: Path) -> None:
    bench = FrontBench(base=TINY, model=tiny_folder, folder=tmp_path)
    adapter, prompt = make_bundle(tiny_folder, tmp_path), "Findings: The lungs are clear."
    one = _Asked(b"", prompt, [], adapter)
    known = references(load_base(TINY, tiny_folder), [adapter], [prompt], 32, stop=True)
    right = extract(known[adapter.digest, prompt].texts[-1])
    base = extract(known["", prompt].texts[-1])
    assert _wrong(bench, [(one, right)]) == 0
    assert _wrong(bench, [(one, right), (one, base), (one, "")]) == 2
