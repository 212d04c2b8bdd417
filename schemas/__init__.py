"""What Flowreel's parts hand to each other, and what users write and read: no behaviour, no I/O."""
