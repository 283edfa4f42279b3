"""From a report to each destination: the local file, the outbox, the OpenTelemetry pipeline and its exporters."""
