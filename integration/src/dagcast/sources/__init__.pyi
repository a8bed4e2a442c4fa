"""The public names, for type checkers and for importing on first use."""

from ._declared import (
    Declared as Declared,
    declared as declared,
)
from ._propose import (
    propose as propose,
    source_name as source_name,
)
from ._reach import (
    SourceItems as SourceItems,
    source_items as source_items,
)
from ._settings import (
    LabelSettings as LabelSettings,
    SourceSettings as SourceSettings,
)
