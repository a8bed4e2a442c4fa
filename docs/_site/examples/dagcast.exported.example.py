import json
import tempfile
from pathlib import Path

from dagcast.exported import export_contracts, read_exported
from dagcast.plugins import load_plugins

# Where the packages are installed: their contracts, without their models.
exported = export_contracts(
    load_plugins(), {"required": {"eta": "min"}, "weights": (), "levers": ("incentive_spend",)}
)
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "others.json"
    file.write_text(json.dumps(exported.to_json()))
    # In a team's own repository: as `dagcast check --against others.json` reads them.
    read = read_exported(str(file))
assert "eta" in {item.model for item in read.registrations}
assert read.not_installed() == ()  # here, all of them are
