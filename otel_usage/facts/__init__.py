"""What may be reported: facts, the built-in ones, apps and theirs, admission, and the report that they make."""
