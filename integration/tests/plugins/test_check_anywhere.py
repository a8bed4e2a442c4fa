"""``dagcast check`` and ``dagcast contracts`` where there is no project."""

import json

import pytest

from dagcast.cli import run
from dagcast.config import Config
from dagcast.project import create_project
from dagcast_core.contract import Contract, Dim, Effect, Quantity, snapshot
from dagcast_core.dims import HOUR

REGION = Dim("region")
SPEND = Quantity("acme_spend", (REGION, HOUR), "EUR/h")
ORDERS = Quantity("acme_orders", (REGION, HOUR), "order/h")
DEMAND = Contract(
    "acme-demand", inputs=(SPEND,), outputs=(ORDERS,), effects=(Effect(SPEND, ORDERS),)
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGCAST_PROJECT", raising=False)
    return tmp_path


def written(folder, *contracts, distribution="acme-demand"):
    data = snapshot(distribution, contracts)
    (folder / "contract.json").write_text(json.dumps(data))


def checked(capsys, *options):
    code = run(["check", "--json", *options])
    return code, json.loads(capsys.readouterr().out)


def test_folder_without_a_project_checks_what_is_installed(folder, capsys):
    _, result = checked(capsys)
    assert result["folder"] is None
    assert result["note"] == "Without a project: what is installed."
    assert run(["graph"]) in (0, 3)


def test_project_that_is_named_has_to_be_there(folder, capsys, monkeypatch):
    assert run(["check", "--project", "."]) == 2
    assert "expected a dagcast project" in capsys.readouterr().err
    monkeypatch.setenv("DAGCAST_PROJECT", str(folder / "north"))
    assert run(["check"]) == 2


def test_project_in_the_current_folder_is_checked(folder, capsys, monkeypatch):
    create_project(folder / "north", Config())
    monkeypatch.chdir(folder / "north")
    _, result = checked(capsys)
    assert result["folder"] == str(folder / "north")
    assert result["note"] == ""


def test_damaged_project_is_none_the_less_one(folder, capsys):
    (folder / "log.jsonl").write_text("")
    assert run(["check"]) == 2


def test_contract_beside_it_takes_part(folder, capsys):
    written(folder, DEMAND)
    _, result = checked(capsys)
    assert ["acme-demand", "acme-demand as committed", "acme_spend", "acme_orders"] in result[
        "models"
    ]
    assert "with the contracts of acme-demand, which is not here" in result["note"]
    assert not [line for line in result["problems"] if "acme_orders" in line]


def test_contract_beside_it_replaces_the_released_one(folder, capsys, tmp_path):
    written(folder, DEMAND)
    (folder / "contract.json").rename(folder / "released.json")
    late = Quantity("acme_late", (REGION, HOUR), "order/h")
    written(folder, Contract("acme-demand", inputs=(SPEND,), outputs=(late,)))
    _, result = checked(capsys, "--against", "released.json")
    assert [row[3] for row in result["models"] if row[0] == "acme-demand"] == ["acme_late"]


def test_contract_that_is_none_is_one_paragraph(folder, capsys):
    (folder / "contract.json").write_text("[]")
    assert run(["check"]) == 2
    assert "contract.json, which holds no JSON object" in " ".join(capsys.readouterr().err.split())


def test_quantities_are_listed_shown_and_copied_from_a_file(folder, capsys):
    written(folder, DEMAND)
    source = ["--from", "contract.json"]
    assert run(["contracts", "list", *source]) == 0
    assert "acme_orders" in capsys.readouterr().out
    assert run(["contracts", "show", "acme_orders", *source, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["models"] == [["makes it", "acme-demand", "acme-demand as committed"]]
    assert shown["effects"][0][:3] == ["acme_spend", "acme_orders", "+"]
    assert run(["contracts", "copy", "acme_orders", *source]) == 0
    names = {}
    exec(capsys.readouterr().out, names)
    assert names["ACME_ORDERS"] == ORDERS


def test_misspelt_quantity_is_answered_with_the_nearest(folder, capsys):
    written(folder, DEMAND)
    assert run(["contracts", "copy", "acme_order", "--from", "contract.json"]) == 2
    assert "Write 'acme_orders' if that is meant, or see" in " ".join(
        capsys.readouterr().err.split()
    )


def test_exported_contracts_can_be_checked_against(folder, capsys):
    assert run(["contracts", "export", "market.json"]) == 0
    capsys.readouterr()
    code, result = checked(capsys, "--against", "market.json")
    assert code == 0, result["problems"]
    assert result["evolution"] == []


def test_without_a_project_it_can_be_said_who_serves(folder, capsys):
    """A model that is to take another team's place is checked in a repository of its own."""
    for name in ("acme-demand", "acme-rival"):
        (folder / "packages" / name).mkdir(parents=True)
        rival = Contract(name, inputs=(SPEND,), outputs=(ORDERS,), effects=DEMAND.effects)
        written(folder / "packages" / name, rival, distribution=name)
    _, result = checked(capsys)
    assert any("two producers of 'acme_orders'" in text for text in result["problems"])
    for name in ("acme-demand", "acme-rival"):
        _, result = checked(capsys, "--no-project", "--set", f"serving.acme_orders={name}")
        assert not any("acme_orders" in text for text in result["problems"])
        assert [row[0] for row in result["models"] if row[0].startswith("acme")] == [name]


@pytest.mark.parametrize("setting", ["backtest.origins=8", "serving=acme", "serving.=acme"])
def test_other_settings_need_a_project(folder, capsys, setting):
    assert run(["check", "--no-project", "--set", setting]) == 2
    assert "Without a project, --set takes serving.QUANTITY=PACKAGE" in capsys.readouterr().err
