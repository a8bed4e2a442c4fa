"""What joins drop is counted."""

from tensor_cases import along

from dagcast_core.tensor import align, audit


def test_dropping_is_audited_once_per_operation(rides):
    part = rides.isel(region=[0], hour=slice(0, 2))
    with audit() as dropped:
        rides.where(part > 0, 0.0)
        align(rides, part)
    assert [(d.dim, d.left, d.right) for d in dropped.drops] == [
        ("region", 2, 0), ("hour", 4, 0), ("region", 2, 0), ("hour", 4, 0),
    ]  # fmt: skip


def test_the_audit_counts_every_drop_and_stops_with_its_block():
    a, b = along(["a", "b", "c"], name="rides"), along(["c", "d"], name="eta")
    with audit() as dropped:
        for _ in range(3):
            a * b
        a + a
    assert [(d.expression, d.dim, d.left, d.right) for d in dropped.drops] == [
        ("rides * eta", "n", 2, 1)
    ]
    assert dropped.total == 9
    a * b
    assert dropped.total == 9
