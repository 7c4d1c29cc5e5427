# Predictions of a (model, dataset): one job where the rows fit one shard, else one job a shard and a merge.
# The journal is undeclared on purpose: Snakemake deletes the declared outputs of a job that failed.


def entering(wildcards, input):
    """What stands before a program that runs in an environment of its own."""
    return (
        ["-m", "vlmake.environments.enter", input.environment]
        if input.environment
        else []
    )


INFER = (
    "{PYTHON:q} {params.enter:q} {SCRIPTS:q}/infer.py {REGISTRY_ARGUMENTS:q}"
    " --model {wildcards.model:q} --dataset {wildcards.dataset:q}"
    " --samples {input.samples:q} --images {input.images:q} --journal {params.journal:q}"
    " {params.checkpoint:q} --max-failures {RUN.max_failures} --image-roundtrip {RUN.image_roundtrip}"
    " --threads {threads} {WORK_AHEAD:q}"
)


rule infer:
    """All predictions of a dataset that is one shard."""
    input:
        samples=samples_of,
        images=images_of,
        checkpoint=checkpoint_of,
        environment=environment_of,
    output:
        predictions=paths.predictions("{model}", "{dataset}"),
        timing=paths.timing("{model}", "{dataset}"),
    wildcard_constraints:
        dataset=PLAN.one_shard_pattern(),
    threads: 1
    resources:
        gpu=lambda w: PLAN.registry.models[w.model].gpus,
    params:
        spec=lambda w: PLAN.inference_spec(w.model, w.dataset),
        journal=lambda w: paths.journal(w.model, base_of(w)),
        enter=entering,
        checkpoint=lambda w, input: (
            ["--checkpoint", input.checkpoint] if input.checkpoint else []
        ),
    shell:
        INFER
        + " --predictions {output.predictions:q} --timing {output.timing:q}"
        + ENDED


rule infer_shard:
    """The predictions of one shard."""
    input:
        samples=samples_of,
        images=images_of,
        checkpoint=checkpoint_of,
        environment=environment_of,
    output:
        shard=temp(paths.shard("{model}", "{dataset}")),
    threads: 1
    resources:
        gpu=lambda w: PLAN.registry.models[w.model].gpus,
    params:
        spec=lambda w: PLAN.inference_spec(w.model, w.dataset),
        journal=lambda w: paths.journal(w.model, base_of(w)),
        enter=entering,
        checkpoint=lambda w, input: (
            ["--checkpoint", input.checkpoint] if input.checkpoint else []
        ),
    shell:
        INFER
        + " --shard {wildcards.shard} --shards {wildcards.shards} --output {output.shard:q}"
        + ENDED


rule merge:
    """Shards → all predictions, in the benchmark's order."""
    input:
        shards=lambda w: paths.shards(w.model, w.dataset, PLAN.shards(w.dataset)),
    output:
        predictions=paths.predictions("{model}", "{dataset}"),
        timing=paths.timing("{model}", "{dataset}"),
    wildcard_constraints:
        dataset=PLAN.many_shards_pattern(),
    retries: 0
    localrule: True
    params:
        journal=lambda w: paths.journal(w.model, base_of(w)),
    shell:
        "{PYTHON:q} {SCRIPTS:q}/merge.py --dataset {wildcards.dataset:q} --journal {params.journal:q}"
        " --predictions {output.predictions:q} --timing {output.timing:q} {input.shards:q}"
