"""Projects that report through `otel_usage`: for each an import-light module that declares its facts."""
