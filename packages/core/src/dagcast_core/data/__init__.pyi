"""The public names, for type checkers and for importing on first use."""

from ._calendar import (
    hour_of_week as hour_of_week,
    public_holiday as public_holiday,
    us_federal_holiday as us_federal_holiday,
    zone_country as zone_country,
)
from ._csv import Dialect as Dialect
from ._cube import (
    CubeQuantity as CubeQuantity,
    CubeTable as CubeTable,
)
from ._database import DatabaseRows as DatabaseRows
from ._declare import (
    Check as Check,
    Column as Column,
    EventTable as EventTable,
    Implied as Implied,
    LinearMetric as LinearMetric,
    MetricSpec as MetricSpec,
    Sum as Sum,
)
from ._errors import (
    DataError as DataError,
    DeclarationError as DeclarationError,
    MemoryLimitError as MemoryLimitError,
    MissingCellsError as MissingCellsError,
    SourceError as SourceError,
    StoreError as StoreError,
    UnknownMetricError as UnknownMetricError,
)
from ._folder import (
    FolderPlan as FolderPlan,
    UnreadFile as UnreadFile,
    plan_folder as plan_folder,
)
from ._ingest import Ingestion as Ingestion
from ._inspect import Span as Span
from ._manifest import Coverage as Coverage
from ._mapped import (
    columns_read as columns_read,
    expression_columns as expression_columns,
    read_lookup as read_lookup,
)
from ._mapping import (
    ColumnMap as ColumnMap,
    Lookup as Lookup,
    Repeat as Repeat,
    Take as Take,
    Unpivot as Unpivot,
)
from ._peek import (
    Peek as Peek,
    peek as peek,
)
from ._report import (
    Hole as Hole,
    IngestReport as IngestReport,
)
from ._store import MetricStore as MetricStore
from ._warehouse import ledger_sql as ledger_sql
from ._zones import (
    LocalTimes as LocalTimes,
    local_to_utc as local_to_utc,
)
