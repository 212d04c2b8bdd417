"""Reads and writes Parquet files that are small enough to be handled whole."""

import io

import pyarrow as pa
import pyarrow.parquet as pq


def read_parquet(data: bytes, columns: list[str] | None = None) -> pa.Table:
    """Reads the table in a Parquet file. Raises pa.ArrowException if it is none.

    `pq.read_table` hands the bytes to pyarrow's threads; if Python exits before they let go of them, the process is
    killed, whatever it did before (https://github.com/apache/arrow/issues/34314). No threads, nothing to let go of.
    """
    return pq.ParquetFile(pa.BufferReader(data)).read(columns, use_threads=False)


def parquet_bytes(table: pa.Table) -> bytes:
    """Writes a small table as a file: the same rows give the same bytes."""
    sink = io.BytesIO()
    # How a table is chunked shows in its pages: in one piece, the same rows give the same bytes.
    pq.write_table(table.combine_chunks(), sink, compression="zstd", row_group_size=65_536)
    return sink.getvalue()
