"""Text → answer, with the place in the text and the rule that found it; one module a task, three protocols each."""
