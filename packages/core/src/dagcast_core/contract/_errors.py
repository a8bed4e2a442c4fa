"""The exception of a declaration that is wrong by itself."""


class ContractError(ValueError):
    """A declaration is wrong by itself: a bad name, an unknown choice, an effect on nothing.

    Raised while the declaration is made, so the traceback ends on the line to correct.
    """
