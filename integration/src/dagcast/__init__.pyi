"""The public names, for type checkers and for importing on first use."""

from . import workflow as workflow
from .config import Config as Config
from .errors import (
    ConfigError as ConfigError,
    DagcastError as DagcastError,
    GateError as GateError,
    PlanStateError as PlanStateError,
    ProjectError as ProjectError,
    UsageError as UsageError,
)
from .project import (
    Project as Project,
    create_project as create_project,
    open_project as open_project,
)
from .questions import (
    OpenFit as OpenFit,
    OpenPlan as OpenPlan,
    open_fit as open_fit,
    open_plan as open_plan,
)
