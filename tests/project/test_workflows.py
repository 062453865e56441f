"""The workflows and forms on GitHub, which nothing runs before they are pushed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.paths import ROOT

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.y*ml"))
FORMS = [
    form for form in sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")) if form.stem != "config"
]

# A workflow of this repository is the same commit as its caller.
OURS = re.compile(r"\./\.github/workflows/\S+")
PINNED = re.compile(r"([\w.-]+/[\w./-]+)@([0-9a-f]{40}) # v\d+\.\d+\.\d+")
# The types that GitHub's form schema names.
FORM_TYPES = {"checkboxes", "dropdown", "input", "markdown", "textarea"}

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
MAKE_TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))
TARGET = re.compile(r"[a-z][a-z-]*")
PATH = re.compile(r"\b(?:tests|tools)/\S+|\S+\.lock\b")
MANIFESTS = {"pip": ("pyproject.toml", "requirements.in"), "npm": ("package.json",)}


def read(file: Path) -> dict[str, Any]:
    """Return what a YAML file says."""
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content


def uses(workflow: Path) -> list[str]:
    """Return what a workflow uses, each with the comment beside it."""
    return re.findall(
        r"^[\s-]*uses:\s*(.*?)\s*$", workflow.read_text(encoding="utf-8"), re.MULTILINE
    )


def jobs(workflow: Path) -> dict[str, dict[str, Any]]:
    """Return a workflow's own jobs, without those that call another workflow."""
    return {name: job for name, job in read(workflow)["jobs"].items() if "uses" not in job}


def steps(workflow: Path) -> list[dict[str, Any]]:
    """Return the steps of all of a workflow's jobs."""
    return [step for job in jobs(workflow).values() for step in job["steps"]]


def commands(workflow: Path) -> list[str]:
    """Return the command lines of a workflow, and those that its matrices fill in."""
    lines = [line for step in steps(workflow) for line in step.get("run", "").splitlines()]
    matrices = [job.get("strategy", {}).get("matrix", {}) for job in jobs(workflow).values()]
    entries = [entry for matrix in matrices for entry in matrix.get("include", [])]
    return [*lines, *(f"make {entry['targets']}" for entry in entries if "targets" in entry)]


def test_there_is_something_to_check() -> None:
    assert {"tests", "docs", "pages", "release"} <= {file.stem for file in WORKFLOWS}
    assert {"bug", "feature"} == {file.stem for file in FORMS}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.stem)
def test_every_action_is_pinned_by_its_commit_with_the_version_beside_it(workflow: Path) -> None:
    """A tag can be moved to other code; a commit cannot."""
    loose = [use for use in uses(workflow) if not (PINNED.fullmatch(use) or OURS.fullmatch(use))]
    assert not loose


def test_an_action_has_the_same_commit_everywhere() -> None:
    pins: dict[str, set[str]] = {}
    for use in (use for workflow in WORKFLOWS for use in uses(workflow)):
        if pin := PINNED.fullmatch(use):
            pins.setdefault(pin[1], set()).add(pin[2])
    assert pins
    assert not {action: commits for action, commits in pins.items() if len(commits) > 1}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_permits_nothing_and_each_job_says_what_it_needs(workflow: Path) -> None:
    """What a job may do stands with the job; `write-all` and `read-all` name nothing."""
    content = read(workflow)
    assert content["permissions"] == {}
    assert all(isinstance(job["permissions"], dict) for job in content["jobs"].values())


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.stem)
def test_runs_of_a_workflow_neither_pile_up_nor_hang(workflow: Path) -> None:
    assert {"group", "cancel-in-progress"} <= read(workflow)["concurrency"].keys()
    limits = {name: job.get("timeout-minutes") for name, job in jobs(workflow).items()}
    assert not {name: limit for name, limit in limits.items() if not isinstance(limit, int)}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.stem)
def test_no_checkout_leaves_its_token_behind(workflow: Path) -> None:
    """Else every later step, and every artifact that holds .git, has the token."""
    checkouts = [step for step in steps(workflow) if "actions/checkout@" in step.get("uses", "")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_actionlint_finds_nothing() -> None:
    """Without shellcheck and pyflakes, which some machines have and others do not."""
    actionlint = shutil.which("actionlint", path=str(Path(sys.executable).parent))
    assert actionlint, "actionlint is not installed beside this Python: run `make setup`."
    command = [actionlint, "-no-color", "-shellcheck=", "-pyflakes=", *map(str, WORKFLOWS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - Our own words.
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_calls_targets_and_files_that_exist(workflow: Path) -> None:
    """A renamed target or a moved test would fail only after a push, or at the next release."""
    lines = commands(workflow)
    makes = [line.removeprefix("make ").split() for line in lines if line.startswith("make ")]
    targets = {word for words in makes for word in words if TARGET.fullmatch(word)}
    assert not targets - MAKE_TARGETS
    paths = {path for line in lines for path in PATH.findall(line)}
    assert not {path for path in paths if not (ROOT / path).exists()}


def test_dependabot_looks_where_dependencies_are_declared() -> None:
    """It fails for a folder without a manifest, on a page that few people open."""
    for update in read(GITHUB / "dependabot.yml")["updates"]:
        for folder in update.get("directories", []):
            manifests = MANIFESTS[update["package-ecosystem"]]
            assert any((ROOT / folder.strip("/") / name).exists() for name in manifests), folder


@pytest.mark.parametrize("form", FORMS, ids=lambda file: file.stem)
def test_a_form_is_one_that_github_accepts(form: Path) -> None:
    """GitHub leaves a faulty form out of its list, and pushes still succeed."""
    content = read(form)
    assert all(content[field].strip() for field in ("name", "description"))
    fields = content["body"]
    assert {field["type"] for field in fields} <= FORM_TYPES
    asked = [field for field in fields if field["type"] != "markdown"]
    assert asked
    assert len({field["id"] for field in asked}) == len(asked)
    assert len({field["attributes"]["label"] for field in asked}) == len(asked)


def test_a_vulnerability_is_not_reported_in_public() -> None:
    config = read(GITHUB / "ISSUE_TEMPLATE" / "config.yml")
    assert config["blank_issues_enabled"] is False
    assert any("/security/" in link["url"] for link in config["contact_links"])
