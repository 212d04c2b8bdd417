"""What rendering costs beyond the generator: ways of doing the same clips, each as a process of its own."""
