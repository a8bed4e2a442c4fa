"""Contracts written down by one team are what another checks against, without the packages."""

import base64
import hashlib
import json
import socket
import threading
import zipfile
from types import SimpleNamespace

import pytest

from dagcast import exported, workflow
from dagcast._wheel import wheel_of
from dagcast.assembly import check_assembly
from dagcast.declaration import declaration
from dagcast.errors import UsageError
from dagcast.exported import Exported, export_contracts, read_exported
from dagcast.plugins import Plugin, Plugins, load_plugins
from dagcast_core.contract import Contract, Dim, Effect, Quantity, Registration, Weighted, snapshot
from dagcast_core.dims import HOUR

REGION = Dim("region")
SPEND = Quantity("spend", (REGION, HOUR), "EUR/h")
ORDERS = Quantity("orders", (REGION, HOUR), "order/h")
DEMAND = Contract("demand", inputs=(SPEND,), outputs=(ORDERS,), effects=(Effect(SPEND, ORDERS),))
WAIT = Quantity("wait", (REGION, HOUR), "min")
QUEUE = Contract("queue", inputs=(ORDERS,), outputs=(WAIT,), effects=(Effect(ORDERS, WAIT),))
ASKED = {"required": {"wait": ""}, "weights": ("orders",), "levers": ("spend",)}


def installed(*contracts):
    plugin = Plugin("own", "acme-own", "0.1.0", object(), contracts)
    return Plugins(load_plugins(path=[]).manager, (plugin,), ())


@pytest.fixture
def file(tmp_path):
    """The demand team's contracts, as another team has written them down."""
    made = Exported((Registration(DEMAND, "acme-demand", "1.2.0"),), frozenset(), **ASKED)
    path = tmp_path / "contracts.json"
    path.write_text(json.dumps(made.to_json()))
    return path


def joined(plugins, exported):
    return check_assembly(
        plugins,
        required=exported.required,
        weights=exported.weights,
        levers=exported.levers,
        others=exported.not_installed(),
        ahead=exported.known_ahead,
    )


def test_package_is_checked_against_what_is_not_installed(file):
    assembly = joined(installed(QUEUE), read_exported(str(file)))
    assert assembly.problems == ()
    assert assembly.order == ("demand", "queue")


def test_misfit_names_the_package_that_is_not_here(file):
    per_day = Quantity("orders", (REGION, HOUR), "order/day")
    other = Contract("queue", inputs=(per_day,), outputs=(WAIT,), effects=(Effect(per_day, WAIT),))
    (problem,) = joined(installed(other), read_exported(str(file))).problems
    assert str(problem).startswith(
        "DC105 [queue (acme-own 0.1.0) <- demand (acme-demand 1.2.0)] unit 'orders': "
        "expected order/day; found order/h."
    )


def test_an_address_serves_as_well(file):
    assert read_exported(file.as_uri()) == read_exported(str(file))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: "[" * 100_000,
        lambda data: json.dumps(data).replace("[]", "9" * 6_000, 1),
        lambda data: data | {"packages": [{**data["packages"][0], "contracts": [[]]}]},
        lambda data: data | {"packages": [{**data["packages"][0], "distribution": None}]},
        lambda data: data | {"packages": [{**data["packages"][0], "distribution": ""}]},
        lambda data: data | {"packages": [{**data["packages"][0], "version": 1}]},
        lambda data: data | {"packages": ["acme"]},
        lambda data: data | {"known_ahead": [3]},
        lambda data: data | {"required": ["ab"]},
        lambda data: data | {"required": {"wait": 1}},
        lambda data: data | {"weights": [1]},
        lambda data: data | {"levers": "spend"},
        lambda data: {"schema": "dagcast.current-release/1", "release": "contracts"},
        lambda data: {"schema": "dagcast.current-release/1", "release": "../../contracts"},
        lambda data: {"schema": "dagcast.current-release/1", "release": None},
    ],
)
def test_a_file_that_is_not_as_it_was_written_is_refused_in_words(file, spoil):
    spoilt = spoil(json.loads(file.read_text()))
    file.write_text(spoilt if isinstance(spoilt, str) else json.dumps(spoilt))
    with pytest.raises(UsageError, match="expected"):
        read_exported(str(file))


def test_a_mark_of_the_byte_order_is_read_over(file):
    plain = read_exported(str(file))
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert read_exported(str(file)) == plain


def test_a_file_larger_than_any_contracts_is_not_read(file):
    with file.open("ab") as whole:
        whole.truncate(1 << 27)
    with pytest.raises(UsageError, match="more than 67,108,864 bytes"):
        read_exported(str(file))


@pytest.fixture
def answers():
    """The address of a server that sends raw bytes, and what it is to send."""
    sent = [b""]

    def serve(server):
        while True:
            try:
                caller, _ = server.accept()
            except OSError:
                return
            with caller:
                caller.recv(4096)
                caller.sendall(sent[0])

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", sent
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "sent",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000,
        b"HTTP/1.1 200 OK\r\n\r\n<html>log in</html>",
        b"",
    ],
)
def test_a_server_that_answers_something_else_is_said_in_words(answers, sent):
    address, answer = answers
    answer[0] = sent
    with pytest.raises(UsageError, match=f"found .*{address}"):
        read_exported(f"{address}/contracts.json")


def test_an_answer_is_read_whatever_the_case_of_its_address(answers, file):
    address, answer = answers
    answer[0] = b"HTTP/1.1 200 OK\r\n\r\n" + file.read_bytes()
    assert read_exported(f"{address.upper()}/contracts.json") == read_exported(str(file))


def test_an_answer_that_trickles_in_is_given_up(answers, file, monkeypatch):
    address, answer = answers
    answer[0] = b"HTTP/1.1 200 OK\r\n\r\n" + file.read_bytes()
    clock = SimpleNamespace(monotonic=iter([0.0, 31.0]).__next__)
    monkeypatch.setattr(exported, "time", clock)
    with pytest.raises(UsageError, match="bytes in 30 s"):
        read_exported(f"{address}/contracts.json")


@pytest.mark.parametrize("address", ["http://localhost:port/x", "http://localhost:1/a b"])
def test_an_address_that_is_none_is_said_in_words(address):
    with pytest.raises(UsageError, match="Check the address"):
        read_exported(address)


def test_what_was_exported_is_read_back():
    made = export_contracts(installed(QUEUE), ASKED)
    assert made.known_ahead == frozenset()
    assert made.levers == ("spend",)
    assert [item.model for item in made.registrations] == ["queue"]


def test_snapshot_of_one_package_says_nothing_of_what_is_known_ahead(tmp_path):
    path = tmp_path / "contract.json"
    path.write_text(json.dumps(snapshot("acme-demand", [DEMAND])))
    read = read_exported(str(path))
    assert read.known_ahead is None
    assert read.by_distribution() == {"acme-demand": (DEMAND,)}
    assert joined(installed(QUEUE), read).problems == ()


def test_installed_package_is_not_joined_twice(file):
    made = Exported((Registration(DEMAND, "pytest", "1.0"),))
    assert made.not_installed() == ()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("none.json", "no file none.json"),
        ("ftp://example.org/c.json", "'ftp://example.org/c.json'"),
        ("file:///no/such/file.json", "no answer from file:///no/such/file.json"),
    ],
)
def test_nothing_there_is_one_paragraph(source, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as raised:
        read_exported(source)
    assert found in str(raised.value)


DAY = Dim("day", kind="time", frequency="D", zone="UTC")
SLOT = Dim("slot", kind="int")
VEHICLE = Dim("vehicle", vocabulary="fleet/v2")
QUANTITIES = [
    WAIT,
    Quantity("total", (), "EUR"),
    Quantity("stock", (VEHICLE, DAY, SLOT), "1", dtype="int64", nullable=True, bounds=(None, 1e6)),
    Quantity(
        "share",
        (REGION, HOUR),
        "1",
        aggregation={"region": Weighted("orders"), "hour": "sum"},
        bounds=(0, 1),
        typical=(0.1, 1 / 3),
        description='how much of "all", it\'s said',
    ),
]


@pytest.mark.parametrize("quantity", QUANTITIES, ids=lambda quantity: quantity.name)
def test_pasted_declaration_is_equal_to_the_owners(quantity):
    names = {}
    exec(declaration(quantity), names)
    pasted = names[quantity.name.upper()]
    assert pasted == quantity
    assert pasted.typical == quantity.typical
    assert pasted.description == quantity.description
    assert all(len(line) <= 100 for line in declaration(quantity).splitlines())


WHEEL = "acme_in_force-2026.11.1-py3-none-any.whl"


@pytest.fixture
def wheel(file, tmp_path):
    (tmp_path / WHEEL).write_bytes(wheel_of(WHEEL, file.read_text()))
    return tmp_path / WHEEL


def test_wheel_holds_the_contracts_and_nothing_else(wheel, file, tmp_path, monkeypatch):
    """Unpacked as an installer does, each file as its record says."""
    assert read_exported(str(wheel)) == read_exported(str(file))
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
        record = archive.read("acme_in_force-2026.11.1.dist-info/RECORD").decode()
    rows = [row.split(",") for row in record.splitlines()]
    assert sorted(name for name, *_ in rows) == sorted(names)
    for name, digest, size in rows[:-1]:
        held = (tmp_path / "site" / name).read_bytes()
        made = base64.urlsafe_b64encode(hashlib.sha256(held).digest()).decode().rstrip("=")
        assert (digest, int(size)) == (f"sha256={made}", len(held))
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert read_exported("acme-in-force") == read_exported(str(file))
    assert load_plugins(path=[str(tmp_path / "site")]).plugins == ()


def test_equal_contracts_make_equal_wheels(wheel, file):
    assert wheel_of(WHEEL, file.read_text()) == wheel.read_bytes()


@pytest.mark.parametrize(
    "name", ["contracts.whl", "a-b-1.0-py3-none-any.whl", "a-1..-py3-none-any.whl"]
)
def test_name_that_is_no_wheel_s_is_refused(name):
    with pytest.raises(UsageError, match="a wheel's name, such as contracts_in_force-2026.11.1"):
        wheel_of(name, "{}")


def test_wheel_that_expands_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("dagcast._wheel.LARGEST", 1000)
    (tmp_path / WHEEL).write_bytes(wheel_of(WHEEL, json.dumps({"a": "0" * 100_000})))
    with pytest.raises(UsageError, match="more than 1,000 bytes in"):
        read_exported(str(tmp_path / WHEEL))


def test_file_that_is_no_wheel_is_refused(tmp_path):
    (tmp_path / WHEEL).write_text("no archive")
    with pytest.raises(UsageError, match="expected a wheel; found"):
        read_exported(str(tmp_path / WHEEL))


def test_wheel_by_address_is_read_as_the_file_is(answers, wheel, file):
    address, answer = answers
    answer[0] = b"HTTP/1.1 200 OK\r\n\r\n" + wheel.read_bytes()
    assert read_exported(f"{address}/{WHEEL}") == read_exported(str(file))


def test_wheel_of_code_is_no_wheel_of_contracts(tmp_path):
    with zipfile.ZipFile(tmp_path / WHEEL, "w") as archive:
        archive.writestr("acme/__init__.py", "")
    with pytest.raises(UsageError, match=r"which holds none.*\n?.*install it"):
        read_exported(str(tmp_path / WHEEL))


def test_current_release_is_what_its_pointer_names(file, tmp_path):
    file.rename(tmp_path / "r1.json")
    (tmp_path / "current.json").write_text(
        json.dumps({"schema": "dagcast.current-release/1", "release": "r1", "history": []})
    )
    assert read_exported(str(tmp_path / "current.json")).by_distribution().keys() == {"acme-demand"}


def test_folder_is_that_of_releases_of_packages_or_of_one_file(tmp_path, file):
    assert read_exported(str(file.parent)) == read_exported(str(file))
    (file.parent / "notes.json").write_text("[]")
    (file.parent / "broken.json").write_text("{")
    assert read_exported(str(file.parent)) == read_exported(str(file))
    wheel = file.parent / "contracts-1.0-py3-none-any.whl"
    wheel.write_bytes(wheel_of(wheel.name, file.read_text()))
    with pytest.raises(UsageError, match=r"with contracts-1.0-py3-none-any.whl, contracts.json"):
        read_exported(str(file.parent))
    # Of a folder of releases, what is current.
    pointer = {"schema": "dagcast.current-release/1", "release": "contracts"}
    (file.parent / "current.json").write_text(json.dumps(pointer))
    assert read_exported(str(file.parent)) == read_exported(str(file))


@pytest.mark.parametrize("source", ["", " "])
def test_nothing_is_no_name_of_contracts(source):
    with pytest.raises(UsageError, match="an empty name"):
        read_exported(source)


def test_contracts_are_not_exported_into_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="no folder .*nowhere"):
        workflow.export_contracts(tmp_path / "nowhere" / "others.json")
