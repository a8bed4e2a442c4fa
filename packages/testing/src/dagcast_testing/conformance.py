"""Every model of every installed package obeys the model contract.

    pytest --pyargs dagcast_testing.conformance

``DAGCAST_CONFORMANCE=dagcast-eta,my-eta`` restricts it to some distributions. The file is not named
as tests are, so that it runs only where it is asked for.
"""

import pytest

from dagcast_testing._paused import without_collection

with without_collection():
    from dagcast_core.model import Model
    from dagcast_testing._installed import InstalledModel, selected_models
    from dagcast_testing._suite import ModelContract


class TestInstalledModels(ModelContract):
    """Whatever the packages declare is what their models do."""

    @pytest.fixture(params=selected_models(), ids=str)
    def model(self, request: pytest.FixtureRequest) -> Model:
        """Build one installed model: once, and afresh to compare constructions."""
        installed: InstalledModel = request.param
        kept = self._settings.get(str(installed))
        if kept is None or "construction" in request.fixturenames:
            return installed.build()
        return kept.model
