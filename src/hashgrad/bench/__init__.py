"""Benchmarks: time to the same accuracy, against what a user would pick instead.

`hashgrad bench` runs them. Every run is a process of its own (`worker`), the contenders of a
measure (`measures`) take turns in one session (`suite`), peers run with the settings that a search
found best for them (`tuning`, `peers.json`), and `report` makes tables and pictures of the results.
"""
