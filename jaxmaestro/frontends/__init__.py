"""Models of other frameworks as workloads: layers with how often they run, and all that is no layer."""

from jaxmaestro.frontends.workload import Unmapped, Workload, WorkloadLayer

__all__ = ["Unmapped", "Workload", "WorkloadLayer"]
