"""Files that hold many files: tar and zip archives, videos, Parquet. Read `open.py` first.

Their members are read as ordinary files whose paths go through the container: ``city.tar/labels/000017.png``.
"""
