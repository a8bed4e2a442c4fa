"""The exceptions of the model layer."""


class ModelError(ValueError):
    """A model, or what it was given, does not fit what its contract says."""


class ExperimentError(ValueError):
    """An experiment cannot be set against a model or a history.

    Attributes:
        experiment: name of the experiment.
    """

    def __init__(self, experiment: str, message: str) -> None:
        super().__init__(f"experiment {experiment!r}: {message}")
        self.experiment = experiment
        self.message = message

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.experiment, self.message))


class NonFiniteError(ArithmeticError):
    """A loss or a gradient stopped being a number.

    Attributes:
        member: the sub-model where it arose.
        where: quantity or parameter, and the first cells concerned.
    """

    def __init__(self, member: str, where: str) -> None:
        super().__init__(f"{member}: {where}")
        self.member = member
        self.where = where

    def __reduce__(self) -> tuple[object, ...]:
        return (type(self), (self.member, self.where))
