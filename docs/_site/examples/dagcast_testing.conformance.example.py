import os
import subprocess
import sys

# Every test of the model contract on every installed model; here, which there are for one package.
suite = [sys.executable, "-m", "pytest", "--pyargs", "dagcast_testing.conformance"]
listed = subprocess.run(
    [*suite, "--collect-only", "-q", "-p", "no:cacheprovider"],
    env={**os.environ, "DAGCAST_CONFORMANCE": "dagcast-incentives"},
    capture_output=True,
    text=True,
    check=True,
)
assert "TestInstalledModels" in listed.stdout
