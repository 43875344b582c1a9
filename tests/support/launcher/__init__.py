"""Runs jobs that TFX compiled for Kubeflow Pipelines v2 on this machine, as the launcher of a backend would.

Written from the contract that is documented: a step's container is started with its command and arguments, in which
`{{$}}` stands for an ExecutorInput, and leaves an ExecutorOutput in the file that the ExecutorInput names. What happens
around that is done here: order, conditions, resolvers, importers, caching, retries. Two backends are known, Vertex AI
Pipelines and the open-source one, which differ in what they refuse and in where files are.
"""

from launcher.containers import ContainerError, in_process, in_processes
from launcher.run import OPEN_SOURCE, VERTEX, Launcher, Run

__all__ = ["OPEN_SOURCE", "VERTEX", "ContainerError", "Launcher", "Run", "in_process", "in_processes"]
