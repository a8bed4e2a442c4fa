"""The README's Python runs as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

QUICK = {
    "OMP_NUM_THREADS": "1",
    "DAGCAST_BACKTEST__ORIGINS": "1",
    "DAGCAST_BACKTEST__WORKERS": "1",
    "DAGCAST_UNCERTAINTY__DRAWS": "8",
    # However slow the machine: the time limit ends no plan.
    "DAGCAST_SOLVER__SECONDS": "600",
}
README = Path(__file__).parents[2] / "README.md"


def test_the_loop_in_the_readme_runs(tmp_path):
    """On a smaller market than the text names, by quicker settings; nothing else is changed."""
    code = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[1]
    assert "regions=12, weeks=16" in code
    script = tmp_path / "loop.py"
    script.write_text(code.replace("regions=12, weeks=16", "regions=2, weeks=6"))
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**os.environ, **QUICK},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Causal validity" in done.stdout
    assert "Regret by model" in done.stdout
    assert list(tmp_path.glob("north/reports/review-plan-*.html"))
