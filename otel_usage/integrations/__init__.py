"""Projects that report by `otel_usage`: what each may report, one import-light module a project."""
