"""LLM judges: who is asked, how, and what becomes of the reply. A judge's failure is a status and never a score."""
