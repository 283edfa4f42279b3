"""The last step: the local file, the project's endpoint, the operator's collector."""
