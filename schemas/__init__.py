"""Data types that Flowreel's parts hand to each other, and that users write and read: no behaviour, no I/O."""
