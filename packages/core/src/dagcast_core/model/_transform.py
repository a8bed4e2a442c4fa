"""Maps between a parameter's unconstrained value, which is optimised, and its meaning."""

import math
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, final

import torch

TransformName: TypeAlias = Literal["softplus", "sigmoid", "exp"]


class Transform(Protocol):
    """An increasing, differentiable map from the whole real line onto an interval."""

    @property
    def name(self) -> str:
        """How messages call it."""
        ...

    @property
    def lower(self) -> float:
        """Lower end of the interval."""
        ...

    @property
    def upper(self) -> float:
        """Upper end of the interval."""
        ...

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        """Map unconstrained values to constrained ones."""
        ...

    def inverse(self, value: torch.Tensor) -> torch.Tensor:
        """Map constrained values back; outside the interval the result is not finite."""
        ...


@final
@dataclass(frozen=True)
class Identity:
    """No constraint."""

    name: str = "identity"
    lower: float = -math.inf
    upper: float = math.inf

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        """Return the value as it is."""
        return raw

    def inverse(self, value: torch.Tensor) -> torch.Tensor:
        """Return the value as it is."""
        return value


@final
@dataclass(frozen=True)
class Softplus:
    """Positive, and linear where large: ``log(1 + e^x)``."""

    name: str = "softplus"
    lower: float = 0.0
    upper: float = math.inf

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        """Return ``log(1 + e^raw)``."""
        return torch.nn.functional.softplus(raw)

    def inverse(self, value: torch.Tensor) -> torch.Tensor:
        """Return ``log(e^value - 1)``, written so that large values do not overflow."""
        return value + torch.log(-torch.expm1(-value))


@final
@dataclass(frozen=True)
class Exp:
    """Positive, and multiplicative: equal steps are equal ratios."""

    name: str = "exp"
    lower: float = 0.0
    upper: float = math.inf

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        """Return ``e^raw``."""
        return raw.exp()

    def inverse(self, value: torch.Tensor) -> torch.Tensor:
        """Return ``log(value)``."""
        return value.log()


@final
@dataclass(frozen=True)
class Interval:
    """Between two limits: ``lower + (upper - lower) * sigmoid(x)``."""

    lower: float
    upper: float
    name: str = "interval"

    def __post_init__(self) -> None:
        if not self.lower < self.upper or not math.isfinite(self.upper - self.lower):
            raise ValueError(
                f"cannot constrain a parameter to [{self.lower}, {self.upper}]: the limits must be "
                "finite and the lower one the smaller."
            )

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        """Return ``lower + (upper - lower) * sigmoid(raw)``."""
        return self.lower + (self.upper - self.lower) * torch.sigmoid(raw)

    def inverse(self, value: torch.Tensor) -> torch.Tensor:
        """Return the logit of the value's place between the limits."""
        return torch.logit((value - self.lower) / (self.upper - self.lower))


_BY_NAME: dict[str, Transform] = {
    "softplus": Softplus(),
    "exp": Exp(),
    "sigmoid": Interval(0.0, 1.0, name="sigmoid"),
}


def transform_of(given: TransformName | Transform | None) -> Transform:
    """Look up a transform by name; a transform object is returned as it is.

    Raises:
        ValueError: the name is not one of the known ones.
    """
    if given is None:
        return Identity()
    if isinstance(given, str):
        if given not in _BY_NAME:
            raise ValueError(
                f"no transform is called {given!r}; choose None, "
                f"{', '.join(repr(name) for name in _BY_NAME)}, or Interval(lower, upper)."
            )
        return _BY_NAME[given]
    return given
