# Both files show every score that is present in the work directory, configured or not.


def other_scores(wildcards):
    """A digest of the present scores that are no input, so that a new one is noticed."""
    return paths.present_scores_digest(Path.cwd(), without=SCORED)


rule summary:
    """All scores in one table."""
    input:
        SCORES,
    output:
        table=paths.SUMMARY,
    retries: 0
    localrule: True
    params:
        others=other_scores,
    shell:
        "{PYTHON:q} {SCRIPTS:q}/summary.py --summary {output.table:q}"


rule report:
    """All scores in one page that opens from disk, with samples to look at."""
    input:
        SCORES,
    output:
        page=paths.REPORT,
    retries: 0
    localrule: True
    params:
        others=other_scores,
    shell:
        "{PYTHON:q} {SCRIPTS:q}/report.py --data-dir {RUN.data_dir:q} --page {output.page:q}"
