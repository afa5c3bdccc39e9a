"""Benchmarks: time to the same accuracy, against what a user would pick instead.

`hashgrad bench` runs them. Every run is a process of its own (`worker`), the contenders of a
measure (`measures`) take turns in one session (`suite`), and `report` makes tables and pictures of
the results. Where time to an accuracy is measured, PyTorch runs with the settings that a search
found best (`tuning`, `peers.json`); for latency, with those in `catalogue`; scikit-learn with its
defaults.
"""
