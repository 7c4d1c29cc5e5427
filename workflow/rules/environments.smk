# Other libraries than vlmake's own, for the models that need them: built once from a lock file, into the user's cache.


rule environment:
    """The environment of a lock file, built before any inference that runs in it."""
    output:
        marker=paths.environment("{environment}", "{lock}", RUN.data_dir),
    wildcard_constraints:
        environment=paths.NAME,
        lock="[0-9a-f]{16}",
    retries: 0
    localrule: True
    shell:
        "{PYTHON:q} {SCRIPTS:q}/environment.py {REGISTRY_ARGUMENTS:q} --name {wildcards.environment:q}"
        " --lock {wildcards.lock} --marker {output.marker:q}"


def environment_of(wildcards):
    """The model's environment; nothing where that is vlmake's own.

    `ancient()`: one that is built again, because it was deleted or another machine builds its own, changes no answer.
    Another lock is another file.
    """
    marker = PLAN.environment(wildcards.model)
    return ancient(marker) if marker else []
