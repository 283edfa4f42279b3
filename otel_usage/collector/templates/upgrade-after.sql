-- Takes over what upgrade-before.sql has set aside. README.md says how it is run.
INSERT INTO otel_usage.spans
    (Timestamp, TraceId, SpanId, SpanName, SpanKind, ServiceName, ResourceAttributes, ScopeName, ScopeVersion, SpanAttributes, StatusCode, received)
SELECT
    Timestamp, TraceId, SpanId, SpanName, SpanKind, ServiceName, ResourceAttributes, ScopeName, ScopeVersion, SpanAttributes, StatusCode, received
FROM otel_usage.spans_before FINAL;

-- The days whose reports have gone; the others are counted anew. What had no value of an attribute was not counted by
-- itself, so it is what is missing to all reports.
INSERT INTO otel_usage.days
{{ older }}

DROP TABLE otel_usage.spans_before;

DROP TABLE otel_usage.daily_before;
