"""The machine on which the samples of these tests were measured."""

from bench.machine import Description

MACHINE = Description(
    cpu="Some CPU",
    cores=2,
    memory_gib=4.0,
    kernel="Linux 6",
    python="3.11.0",
    versions={"kombu": "5.7.0"},
    measured_at="2026-01-02T03:04:05+00:00",
    load_average=0.25,
)
