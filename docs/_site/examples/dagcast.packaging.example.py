import tempfile
from pathlib import Path

from dagcast.packaging import undeclared_imports

with tempfile.TemporaryDirectory() as folder:
    package = Path(folder)
    (package / "src" / "acme").mkdir(parents=True)
    (package / "src" / "acme" / "__init__.py").write_text("import pandas\n")
    (package / "pyproject.toml").write_text('[project]\nname = "acme"\ndependencies = []\n')
    # It works on the machine of whoever has pandas, and on no other.
    assert undeclared_imports(package) == {"pandas": "__init__.py:1"}
