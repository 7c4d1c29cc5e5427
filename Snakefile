"""vlmake: from a benchmark's TSV to its score, every step a file.

    $LMUData/{dataset}.tsv                              the published TSV, never a declared output
    data/{base}/source.json                             what was downloaded: md5, sha256, size, origin
    data/{base}/samples.parquet, images.arrow           rows and images, decoded once for all models
    data/models/{model}/checkpoint.json                 folder and pinned commit of a model from a hub
    data/environments/{environment}-{lock}.json         interpreter of an environment, built from its lock file
    results/{model}/{base}/journal/*.jsonl              every answer the moment it exists, undeclared
    results/{model}/{dataset}/shards/{k}-of-{n}.parquet predictions of one shard, temporary
    results/{model}/{dataset}_predictions.parquet       all predictions in the benchmark's order
    results/{model}/{dataset}_score.csv, _score.json    the table, and every protocol's numbers
    results/{model}/{base}/judge/{judge}/*.jsonl        every reply of a judge the moment it exists, undeclared
    results/{model}/{dataset}_judgements.{judge}.parquet   what a judge said of what rules leave open
    results/{model}/{dataset}_score.{judge}.csv, .json  the same table with the judge's verdicts
    judge.lock                                          which judge `auto` became in this work directory
    results/{model}/{dataset}_submission.xlsx, .json    for servers that have the right answers
    data/{base}/, results/{model}/{dataset}_class.log   what a dataset class of the user's printed
    results/summary.csv, results/report/index.html      all scores of this work directory

{dataset} is {base} with an optional row limit: MME@20 is the first 20 rows of MME.
"""

from snakemake.utils import min_version

min_version("9.27.1")


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/checkpoints.smk"
include: "workflow/rules/environments.smk"
include: "workflow/rules/start.smk"
include: "workflow/rules/inference.smk"
include: "workflow/rules/scoring.smk"
include: "workflow/rules/judging.smk"
include: "workflow/rules/dataset_classes.smk"
include: "workflow/rules/report.smk"


rule all:
    """What every configured run ends in (a score, where answers are known), the summary and the report."""
    default_target: True
    input:
        RESULTS,
        paths.SUMMARY,
        paths.REPORT,
