"""Parts for somebody's own OpenTelemetry pipeline, each an entry point, each by itself, touching nothing of theirs."""
