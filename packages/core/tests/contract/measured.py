"""An experiment that the tests of declarations share."""

from dagcast_core.contract import Arm, Cells, Change, Experiment


def experiment(name="eta-supply-2", **fields):
    given = {
        "cells": Cells(("SFO",), "2026-01-05T00:00Z", "2026-01-11T23:00Z", (7, 8), dim="region"),
        "treatment": Arm("more", (Change("driver_hours", "scale", 1.1),)),
        "estimate": -0.4,
        "standard_error": 0.1,
        **fields,
    }
    return Experiment(name, given.pop("levers", ("driver_hours",)), "eta", **given)
