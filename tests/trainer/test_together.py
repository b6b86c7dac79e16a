from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from radimpress.reports.synthetic import synthesize
from radimpress.trainer.bundle import AdapterBundle, open_bundle
from radimpress.trainer.fit import fit
from radimpress.trainer.plan import PlannedAdapter
from radimpress.trainer.settings import FitSettings
from tests.conftest import TINY

# peft asks transformers by an old name.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = FitSettings(rank=2, alpha=4, batch=1, accumulation=3, learning_rate=5e-3, max_tokens=600)


def fit_tiny(folder: Path, into: Path) -> AdapterBundle:
    return fit(
        PlannedAdapter("shared", None, None, tuple(synthesize(10, 0, 0.0))),
        list(synthesize(10, 1, 0.0)),
        base=TINY,
        base_folder=folder,
        settings=SETTINGS,
        start=None,
        clusters_digest="c" * 64,
        into=into,
        rate=_words,
    )


def _words(impression: str, reference: str) -> dict[str, float]:
    return {"words": float(len(reference.split())), "written": float(bool(impression))}


def _bundle(into: Path) -> AdapterBundle:
    (path,) = (into / "shared").iterdir()
    return open_bundle(path)


def test_two_processes_fit_what_one_does(tiny_folder: Path, tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command = [*launch, str(Path(__file__).resolve()), str(tiny_folder), str(tmp_path / "two")]
    # What the launcher starts runs a file, and finds the tests by the path.
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert sorted(done.stdout.split()) == ["0/2", "1/2"]
    two, one = _bundle(tmp_path / "two"), fit_tiny(tiny_folder, tmp_path / "one")
    assert two.manifest["steps"] == one.manifest["steps"]
    for ours, theirs in zip(two.manifest["history"], one.manifest["history"], strict=True):
        assert ours == pytest.approx(theirs, abs=2e-4)
    # Each wrote its share of what is written for validation.
    assert two.manifest["written"]["reports"] == one.manifest["written"]["reports"] == 10
    scores = [{name: mean["words"] for name, mean in b.manifest["written"]["scores"].items()} for b in (two, one)]
    assert scores[0] == scores[1]
    alone = one.weights()
    for name, values in two.weights().items():
        torch.testing.assert_close(values, alone[name], rtol=1e-3, atol=1e-4)
    # Only the first wrote: one bundle, one record, nothing else.
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["runs", "shared"]


if __name__ == "__main__":
    fit_tiny(Path(sys.argv[1]), Path(sys.argv[2]))
    # In one write, as the processes share the pipe.
    sys.stdout.write(f"{os.environ['RANK']}/{os.environ['WORLD_SIZE']}\n")
