"""Benchmarks that are a class of the user's own, written for VLMEvalKit's development guide (``vlmake.vlmeval``).

The class runs in a process of its own (``child``), which may import anything, crash or print without end. What it says
comes back as plain JSON and files (``process``): where its TSV is, what each row asks (``asking``), and what its own
``evaluate`` makes of the predictions (``evaluating``). Planning reads only the class's source (``source``).
"""
