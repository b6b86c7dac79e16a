"""`radimpress gate` as a person and a pipeline meet it: verdicts, exit codes, signatures and waivers."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from radimpress.clustering.cell import Cell
from radimpress.eval.certificate import decode_certificate
from radimpress.eval.checks import CHECKS
from radimpress.eval.published import published_scores
from radimpress.eval.score import Judged, Scores, System
from radimpress.reports.report import Modality
from tests.server.commands import Run, at, one_line, run
from tests.server.conftest import CT_LIST, FAKE_BASE, FINDINGS, Site, certificate, clusters

__all__ = ["at", "run"]


def _scores(path: Path, gains: dict[str, float], *, cell: Cell = CT_LIST, digest: str = "a" * 64) -> Path:
    """scores.json of base and "unified" over 40 cases, "unified" better by that much in each named slice."""
    cases = [
        Judged(f"{name}{number}", Cell(cell.modality, name), f"p{name}{number}", 1.0)
        for name in gains
        for number in range(40)
    ]
    checks = {f"check:{check.name}": 0.0 for check in CHECKS}

    def system(name: str, digest: str, more: bool) -> System:
        rows = {case.id: {"rougeL": 0.5 + (gains[case.cell.cluster] if more else 0.0), **checks} for case in cases}
        return System(name, digest, FAKE_BASE, rows)

    systems = {"base": system("base", "", False), "unified": system("unified", digest, True)}
    Scores(tuple(cases), systems, "d" * 64, clusters().digest, "1").save(path)
    return path


@pytest.mark.parametrize(
    ("gains", "code"),
    [
        ({"list": 0.1, "telegraphic": 0.1}, 0),
        ({"list": 0.1, "telegraphic": -0.3}, 1),
        ({"list": -0.3, "telegraphic": -0.3}, 1),
    ],
)
def test_the_gate_exits_0_when_all_pass_and_1_on_a_regression(
    run: Run, tmp_path: Path, gains: dict[str, float], code: int
) -> None:
    scores = _scores(tmp_path / "scores.json", gains)
    done = run("gate", "unified", "--scores", scores, "--out", tmp_path / "c.json", "--against", "base")
    assert done.code == code
    made = decode_certificate((tmp_path / "c.json").read_bytes())
    won = {cell for cell, gain in gains.items() if gain > 0}
    assert {verdict.cell.cluster for verdict in made.passed if verdict.cell} - {"any"} == won


def test_the_gate_exits_3_when_a_slice_has_too_few_cases(run: Run, tmp_path: Path) -> None:
    scores = _scores(tmp_path / "scores.json", {"list": 0.1})
    (tmp_path / "r.toml").write_text("[gate]\nminimum = 41\n", "utf-8")
    words = ("--out", tmp_path / "c.json", "--against", "base", "--recipe", tmp_path / "r.toml")
    done = run("gate", "unified", "--scores", scores, *words)
    made = decode_certificate((tmp_path / "c.json").read_bytes())
    assert (done.code, made.passed) == (3, ())
    assert all("40 cases" in verdict.why and "41 " in verdict.why for verdict in made.verdicts)


def test_the_gate_judges_against_who_serves_now(run: Run, site: Site, at: list[object], tmp_path: Path) -> None:
    site.promote(site.first, CT_LIST)
    scores = _scores(tmp_path / "scores.json", {"list": 0.1}, digest=site.first.digest)
    assert run("gate", "unified", "--scores", scores, "--out", tmp_path / "c.json", *at).code == 0
    verdicts = decode_certificate((tmp_path / "c.json").read_bytes()).verdicts
    assert {str(v.cell): (v.incumbent, v.incumbent_digest) for v in verdicts} == {
        "CT/list": ("unified", site.first.digest),
        "CT/any": ("base", ""),
    }


def test_the_gate_refuses_scores_of_another_version_than_serves(
    run: Run, site: Site, at: list[object], tmp_path: Path
) -> None:
    site.promote(site.first, CT_LIST)
    scores = _scores(tmp_path / "scores.json", {"list": 0.1}, digest="e" * 64)
    words = ("gate", "unified", "--scores", scores, "--out", tmp_path / "c.json", *at)
    one_line(run(*words), "the incumbent unified@1 was not evaluated beside unified")
    assert not (tmp_path / "c.json").exists()


def test_what_the_gate_writes_can_be_promoted(run: Run, site: Site, at: list[object], tmp_path: Path) -> None:
    site.registry.register(site.path(site.first))
    scores = _scores(tmp_path / "scores.json", {"list": 0.1}, digest=site.first.digest)
    run("gate", "unified", "--scores", scores, "--out", tmp_path / "c.json", *at)
    assert run("adapters", "promote", "unified", "--certificate", tmp_path / "c.json", *at).code == 0
    assert set(site.registry.table().entries) == {CT_LIST, Cell(Modality.CT, "any")}


@pytest.fixture
def key_files(tmp_path: Path) -> tuple[Path, Path]:
    """An Ed25519 key as PEM: the private file and the public one."""
    key = Ed25519PrivateKey.generate()
    private, public = tmp_path / "gate.pem", tmp_path / "gate.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def test_the_gate_judges_against_a_system_by_name(run: Run, tmp_path: Path) -> None:
    scores = _scores(tmp_path / "scores.json", {"list": 0.1})
    for incumbent, code in (("base", 0), ("unified", 0), ("nobody", 2)):
        done = run(
            "gate", "unified", "--against", incumbent, "--scores", scores, "--out", tmp_path / f"{incumbent}.json"
        )
        assert done.code == code
    verdicts = decode_certificate((tmp_path / "unified.json").read_bytes()).verdicts
    assert {(v.incumbent, v.difference.mean if v.difference else None) for v in verdicts} == {("unified", 0.0)}
    assert not (tmp_path / "nobody.json").exists()


def test_the_gate_writes_junit_markdown_and_json(run: Run, tmp_path: Path) -> None:
    scores = _scores(tmp_path / "scores.json", {"list": 0.1, "telegraphic": -0.3})
    files = ("--out", tmp_path / "c.json", "--junit", tmp_path / "j.xml", "--markdown", tmp_path / "m.md")
    done = run("gate", "unified", "--against", "base", "--scores", scores, *files, "--json")
    told = json.loads(done.out)
    assert done.code == told["exit"] == 1
    assert {row["slice"]: row["verdict"] for row in told["slices"]} == {
        "CT/list": "PASS",
        "CT/telegraphic": "REGRESSION",
        "CT/any": "REGRESSION",
    }
    (suite,) = ElementTree.fromstring((tmp_path / "j.xml").read_bytes())
    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    assert "| CT/telegraphic | REGRESSION |" in (tmp_path / "m.md").read_text("utf-8")


def test_options_may_stand_before_the_candidate_and_a_candidate_may_be_called_plan(run: Run, tmp_path: Path) -> None:
    scores = _scores(tmp_path / "scores.json", {"list": 0.1})
    words = ("--against", "base", "--scores", scores, "--out", tmp_path / "c.json")
    assert run("gate", *words, "unified").code == 0
    assert "plan was not evaluated" in run("gate", "judge", "plan", *words).err


def test_gate_plan_prints_what_each_slice_has_and_still_needs(run: Run, tmp_path: Path) -> None:
    published_scores().save(tmp_path / "scores.json")
    words = ("gate", "plan", "--scores", tmp_path / "scores.json", "unified", "--against", "base")
    done, as_json = run(*words), run(*words, "--json")
    assert (done.code, as_json.code) == (0, 0)
    rows = {row["slice"]: row for row in json.loads(as_json.out)["slices"]}
    assert (rows["NM/any"]["patients"], rows["NM/any"]["needs"], rows["NM/any"]["still"]) == (16, 150, 134)
    assert (rows["OTHER/any"]["patients"], rows["OTHER/any"]["still"]) == (2, 148)
    assert rows["overall"]["cases"] == 138
    assert "still needs" in done.out
    assert "148" in done.out


def test_a_signed_certificate_is_promoted_where_its_key_is_trusted(
    run: Run, site: Site, at: list[object], tmp_path: Path, key_files: tuple[Path, Path]
) -> None:
    private, public = key_files
    site.registry.register(site.path(site.first))
    scores = _scores(tmp_path / "scores.json", {"list": 0.1}, digest=site.first.digest)
    judge = ("gate", "unified", "--scores", scores, "--out", tmp_path / "c.json", *at)
    promote = ("adapters", "promote", "unified", "--certificate", tmp_path / "c.json", "--trusted-key", public, *at)
    assert run(*judge).code == 0
    one_line(run(*promote), "error: gate: the certificate is not signed")
    assert run(*judge, "--sign-key", private).code == 0
    assert run(*promote).code == 0


def test_what_a_server_judged_is_signed_by_who_answers_for_it_and_promoted(
    run: Run, site: Site, at: list[object], tmp_path: Path, key_files: tuple[Path, Path]
) -> None:
    private, public = key_files
    made = certificate(site.registry.register(site.path(site.first)), CT_LIST)
    file = tmp_path / "certificate.json"
    file.write_bytes(made)
    promote = ("adapters", "promote", "unified", "--certificate", file, "--trusted-key", public, *at)
    one_line(run(*promote), "the certificate is not signed", "`radimpress gate sign`")
    done = run("gate", "sign", file, "--sign-key", private)
    signed = decode_certificate(file.read_bytes())
    assert done.out.startswith(f"unified {site.first.digest[:12]}: 1 of 1 slices pass")
    assert f"signed by {signed.signer[:12]}" in done.out
    assert signed.judgement == decode_certificate(made).judgement
    assert run(*promote).code == 0


@pytest.mark.parametrize("spoilt", [b"", b"{}", None])
def test_what_is_no_certificate_is_not_signed(
    run: Run, tmp_path: Path, key_files: tuple[Path, Path], spoilt: bytes | None
) -> None:
    file = tmp_path / "certificate.json"
    if spoilt is not None:
        file.write_bytes(spoilt)
    one_line(run("gate", "sign", file, "--sign-key", key_files[0]), "error: ")
    assert (file.read_bytes() if file.exists() else None) == spoilt


def test_trusted_keys_come_from_the_environment_too(
    run: Run,
    site: Site,
    at: list[object],
    tmp_path: Path,
    key_files: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    adapter = site.registry.register(site.path(site.first))
    (tmp_path / "c.json").write_bytes(certificate(adapter, CT_LIST))
    monkeypatch.setenv("RADIMPRESS_TRUSTED_KEYS", json.dumps([str(key_files[1])]))
    words = ("adapters", "promote", "unified", "--certificate", tmp_path / "c.json", *at)
    one_line(run(*words), "is not signed")
    monkeypatch.setenv("RADIMPRESS_TRUSTED_KEYS", json.dumps([str(tmp_path / "none.pub")]))
    one_line(run(*words), "none.pub: no such file")


@pytest.mark.parametrize("text", ["", "no key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_a_file_that_holds_no_key_is_an_error(run: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "k.pem").write_text(text, "utf-8")
    scores = _scores(tmp_path / "scores.json", {"list": 0.1})
    words = ("gate", "unified", "--against", "base", "--scores", scores, "--out", tmp_path / "c.json")
    one_line(run(*words, "--sign-key", tmp_path / "k.pem"), "error: config: ", "k.pem")


def test_a_waiver_opens_a_slice_and_shows_with_the_routes(
    run: Run, site: Site, at: list[object], tmp_path: Path, key_files: tuple[Path, Path]
) -> None:
    private, public = key_files
    site.registry.register(site.path(site.first))
    scores = _scores(tmp_path / "scores.json", {"list": -0.3}, digest=site.first.digest)
    assert (
        run("gate", "unified", "--scores", scores, "--out", tmp_path / "c.json", "--sign-key", private, *at).code == 1
    )
    who = ("--who", "Dr A. Alder", "--reason", "read twice", "--certificate", tmp_path / "c.json")
    waive = ("gate", "waive", "CT/list", *who, "--sign-key", private)
    assert "waived by Dr A. Alder until" in run(*waive).out
    promote = ("adapters", "promote", "unified", "--certificate", tmp_path / "c.json", "--trusted-key", public, *at)
    for done in (run(*promote), run("routes", "show", *at[:2])):
        assert "CT/list was not passed by the gate: waived by Dr A. Alder until" in done.out
    assert set(site.registry.table().entries) == {CT_LIST}
    (tmp_path / "f.txt").write_text(FINDINGS, "utf-8")
    with site.serving() as address:
        asked = run("generate", tmp_path / "f.txt", "--server", address, "--modality", "CT", "--clinic", "alder")
    assert "not passed by the gate: waived by Dr A. Alder until" in asked.err


@pytest.mark.parametrize("place", ["CT", "CT/telegraphic", "xx/list"])
def test_a_waiver_of_what_was_not_judged_is_refused(
    run: Run, tmp_path: Path, key_files: tuple[Path, Path], place: str
) -> None:
    scores = _scores(tmp_path / "scores.json", {"list": -0.3})
    run("gate", "unified", "--against", "base", "--scores", scores, "--out", tmp_path / "c.json")
    before = (tmp_path / "c.json").read_bytes()
    who = ("--who", "Dr A", "--reason", "x", "--certificate", tmp_path / "c.json", "--sign-key", key_files[0])
    one_line(run("gate", "waive", place, *who))
    assert (tmp_path / "c.json").read_bytes() == before


def test_an_adapter_that_was_not_evaluated_is_named(run: Run, tmp_path: Path) -> None:
    scores = _scores(tmp_path / "scores.json", {"list": 0.1})
    words = ("gate", "nobody", "--scores", scores, "--out", tmp_path / "c.json", "--against", "base")
    one_line(run(*words), "nobody was not evaluated")


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"format": 1}', '{"format": 1, "cases": 3}', "\x00"])
def test_scores_that_are_none_are_an_error_and_no_regression(run: Run, tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "scores.json").write_text(text, "utf-8")
    words = ("gate", "unified", "--scores", tmp_path / "scores.json", "--out", tmp_path / "c.json", "--against", "base")
    one_line(run(*words), "scores.json")
