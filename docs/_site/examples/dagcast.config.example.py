import tempfile
from pathlib import Path

from dagcast.config import load_config

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "dagcast.toml"
    file.write_text("[backtest]\norigins = 4\n")
    config = load_config(file, environment={"DAGCAST_BACKTEST__ORIGINS": "6"})
    assert config.backtest.origins == 6  # a variable goes before the file
    config = load_config(file, flags={"backtest.origins": "8"}, environment={})
    assert config.backtest.origins == 8  # and a flag before both
