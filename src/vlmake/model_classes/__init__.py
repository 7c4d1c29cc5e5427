"""Models that are a class of the user's own, written for VLMEvalKit's development guide (``vlmake.vlmeval``).

Planning reads only the class's source (``source``). The inference job makes the class (``making``), shows it each
question in the guide's form (``messages``) and calls it (``calling``), and undoes what that did to the job itself
(``guarding``); the backend ``plugin`` puts these together.
"""
