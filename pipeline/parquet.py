"""Parquet files that are small enough to be read whole."""

import pyarrow as pa
import pyarrow.parquet as pq


def read_parquet(data: bytes, columns: list[str] | None = None) -> pa.Table:
    """The table in a Parquet file. Raises pa.ArrowException if it is none.

    `pq.read_table` hands the bytes to pyarrow's threads; if Python exits before they let go of them, the process is
    killed, whatever it did before (https://github.com/apache/arrow/issues/34314). No threads, nothing to let go of.
    """
    return pq.ParquetFile(pa.BufferReader(data)).read(columns, use_threads=False)
