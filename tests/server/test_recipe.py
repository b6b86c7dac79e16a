from __future__ import annotations

from pathlib import Path

import pytest

from radimpress.reports.errors import ConfigError, NotFoundError
from radimpress.server.recipe import Recipe, demo_recipe, load_recipe
from radimpress.trainer.bases import BASES


def _write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(text, "utf-8")
    return path


def test_without_a_file_it_is_the_published_settings() -> None:
    recipe = load_recipe(None)
    assert recipe == Recipe()
    assert (recipe.filter.findings_min, recipe.filter.impression_min, recipe.filter.impression_max) == (100, 20, 1000)
    assert (recipe.split.train, recipe.split.test) == (0.70, 0.15)
    assert (recipe.gate.minimum, recipe.gate.margin, recipe.gate.margin_overall) == (20, 0.05, 0.02)


def test_the_demos_recipe_is_smaller_and_keeps_the_gates_margins() -> None:
    demo, published = demo_recipe(), Recipe()
    assert demo.base in BASES
    assert demo.gate.minimum < published.gate.minimum
    assert (demo.gate.margin, demo.gate.margin_overall) == (published.gate.margin, published.gate.margin_overall)
    assert demo.eval.max_tokens < published.eval.max_tokens
    assert demo.filter == published.filter


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    recipe = load_recipe(_write(tmp_path, "[gate]\nminimum = 7\n"))
    assert recipe.gate.minimum == 7
    assert recipe.model_copy(update={"gate": Recipe().gate}) == Recipe()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("speed = 1", "speed"),
        ("[gate]\nminimun = 3", "gate.minimun"),
        ("[train]\nlr = 1", "train.lr"),
        ("[filter]\nfindings = 1", "filter.findings"),
        ("[split]\nvalidation = 0.1", "split.validation"),
        ("[cluster]\nk = 3", "cluster.k"),
        ("[eval]\nbeams = 3", "eval.beams"),
        ("[extra]\na = 1", "extra"),
    ],
)
def test_an_unknown_key_is_refused_by_name(tmp_path: Path, text: str, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: Extra inputs are not permitted"):
        load_recipe(_write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("[gate]\nminimum = 1", "gate.minimum"),
        ("[gate]\nmargin = 0", "gate.margin"),
        ("[split]\ntrain = 1.0", "split.train"),
        ("[eval]\nmax_tokens = 0", "eval.max_tokens"),
        ("[cluster]\nlargest = 0", "cluster.largest"),
        ("[train]\nepochs = inf", "train.epochs"),
        ("[train]\nprice_per_hour = inf", "train.price_per_hour"),
        # As a bundle has it: one above is served by nobody.
        ("[train]\nalpha = 1001", "train.alpha"),
        ("gate = 3", "gate"),
        ("base = 3", "base"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(tmp_path: Path, text: str, name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}: "):
        load_recipe(_write(tmp_path, text))


def test_every_wrong_key_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe(_write(tmp_path, "[gate]\na = 1\nb = 2"))
    assert "gate.a" in str(caught.value)
    assert "gate.b" in str(caught.value)


def test_a_file_that_is_not_toml_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"recipe\.toml: "):
        load_recipe(_write(tmp_path, "gate = ["))


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError):
        load_recipe(tmp_path / "recipe.toml")


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        load_recipe(tmp_path / "recipe.toml")


def test_cases_and_cases_of_each_modality_exclude_each_other(tmp_path: Path) -> None:
    assert load_recipe(_write(tmp_path, "[eval]\nper_modality = 20")).eval.per_modality == 20
    with pytest.raises(ConfigError, match="eval: cases is 9 and per_modality 20"):
        load_recipe(_write(tmp_path, "[eval]\ncases = 9\nper_modality = 20"))
