"""Which version of the plugin API a package was written for, and whether it runs here."""

from collections.abc import Sequence

import dagcast_core.hooks as hooks
from dagcast.plugins._claims import Claim
from dagcast_core.contract import Contract, Problem


def other_api(claim: Claim, contracts: Sequence[Contract]) -> Problem | None:
    """A package that was written for an API that does not run here."""
    for contract in contracts:
        if not speaks(contract.plugin_api, hooks.PLUGIN_API):
            newer = _api(contract.plugin_api) > _api(hooks.PLUGIN_API)
            return Problem.of(
                "DC203",
                contract.model,
                producer=str(claim),
                expected=f"plugin API {hooks.PLUGIN_API}",
                found=f"plugin API {contract.plugin_api}",
                fix="upgrade dagcast-core"
                if newer
                else f"upgrade {claim.distribution} to a release for this API",
            )
    return None


def speaks(asked: str, offered: str) -> bool:
    """Tell whether a package written for API ``asked`` runs where ``offered`` is.

    The major numbers must agree; a minor number adds hooks, so an older one is served.

    Args:
        asked: ``MAJOR`` or ``MAJOR.MINOR`` of the package.
        offered: the same of ``dagcast_core.hooks``.
    """
    (major, minor), (ours, most) = _api(asked), _api(offered)
    return major == ours and minor <= most


def _api(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return int(major), int(minor or 0)
