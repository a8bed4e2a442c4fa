from pathlib import Path

from dagcast import ProjectError, open_project

try:
    open_project(Path("nowhere"))
except ProjectError as error:
    # What was needed, what is there, and a way out; the command ends with this exit code.
    print(error.expected, error.found, error.fix, error.exit_code, sep="\n")
