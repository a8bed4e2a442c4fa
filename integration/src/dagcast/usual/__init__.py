"""What is usual at an hour of the week: a forecast of what is observed and no model makes.

Where the models of a quantity stand aside for want of data, its own history still says what is
usual. Such a forecast knows no cause: no lever moves it, nothing reads it, and no plan counts it.
"""

from dagcast.usual._contract import USUAL, with_usual

__all__ = ["USUAL", "with_usual"]
