"""Files for servers that keep the right answers to themselves: one small module a format, plus a registry line."""
