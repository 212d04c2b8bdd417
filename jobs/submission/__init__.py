"""Packs what a job needs on a cluster, and follows its log."""
