"""The alerts as Prometheus itself evaluates them: each fires where it should, and not before."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.real.servers import need_command

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
RULES, TESTS = ROOT / "docs" / "alerts.yml", ROOT / "tests" / "data" / "alerts_test.yml"


def test_each_alert_is_tested_where_it_fires_and_where_it_does_not() -> None:
    rules = [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]
    cases = [case for test in yaml.safe_load(TESTS.read_text("utf-8"))["tests"] for case in test["alert_rule_test"]]
    tested = {(case["alertname"], bool(case["exp_alerts"])) for case in cases}
    assert tested == {(rule["alert"], fires) for rule in rules for fires in (True, False)}


def test_promtool_agrees(tmp_path: Path) -> None:
    promtool = need_command("promtool", "prometheus")
    shutil.copy(RULES, tmp_path)
    tests = _with_annotations(tmp_path)
    for command in (["check", "rules", "alerts.yml"], ["test", "rules", tests.name]):
        done = subprocess.run(
            [promtool, *command], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def _with_annotations(folder: Path) -> Path:
    """Write the tests with the rules' own annotations, which promtool compares too; nobody would keep them twice."""
    rules = {
        rule["alert"]: rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]
    }
    document = yaml.safe_load(TESTS.read_text("utf-8"))
    for test in document["tests"]:
        for case in test["alert_rule_test"]:
            for alert in case["exp_alerts"]:
                summary = rules[case["alertname"]]["annotations"]["summary"]
                for name, value in alert["exp_labels"].items():
                    summary = summary.replace(f"{{{{ $labels.{name} }}}}", value)
                value = {"LogkeepPolicyStale": "2", "LogkeepPolicyMissed": "3", "LogkeepVerificationFails": "1"}
                alert["exp_annotations"] = {
                    "summary": summary.replace("{{ $value }}", value.get(case["alertname"], ""))
                }
    path = folder / "tests.yml"
    path.write_text(yaml.safe_dump(document), "utf-8")
    return path
