"""The main job: read OpenAPI documents, generate cases from them, run those over HTTP, report.

The parts below `steps` are plain functions over files and values; they know no task system:

    document → contract → (cases → results) → report

`steps` declares them as four task types, `run` drives those for every document, and `command` is `actors demo`.
"""
