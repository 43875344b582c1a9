"""Loads compiled jobs with Kubeflow's own SDK, and says what it takes them for."""

import sys

from kfp import components

for path in sys.argv[1:]:
    loaded = components.load_component_from_file(path)
    tasks = loaded.pipeline_spec.root.dag.tasks
    print(f"{path}: kfp takes it for the pipeline {loaded.name} of {len(tasks)} tasks")
