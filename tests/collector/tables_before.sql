-- Tables and views whose partitions are the days of receipt, with some of their columns: what an upgrade meets.
CREATE DATABASE IF NOT EXISTS otel_usage;

-- What the collector's ClickHouse exporter inserts, by its own names and types, and a typed column for each declared
-- attribute. Delivery is at least once: of the copies of a span the one that came first is kept. After 30 days it goes.
CREATE TABLE IF NOT EXISTS otel_usage.spans
(
    Timestamp DateTime64(9),
    TraceId String,
    SpanId String,
    ParentSpanId String,
    TraceState String,
    SpanName LowCardinality(String),
    SpanKind LowCardinality(String),
    ServiceName LowCardinality(String),
    ResourceAttributes Map(LowCardinality(String), String),
    ScopeName String,
    ScopeVersion String,
    SpanAttributes Map(LowCardinality(String), String),
    Duration UInt64,
    StatusCode LowCardinality(String),
    StatusMessage String,
    Events Nested (Timestamp DateTime64(9), Name LowCardinality(String), Attributes Map(LowCardinality(String), String)),
    Links Nested (TraceId String, SpanId String, TraceState String, Attributes Map(LowCardinality(String), String)),
    received DateTime DEFAULT now(),
    earliness UInt32 MATERIALIZED 4294967295 - toUnixTimestamp(received),
    service_instance_id LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['service.instance.id'], ''),
    otel_usage_gpu_count Nullable(Int64) MATERIALIZED toInt64OrNull(ResourceAttributes['otel_usage.gpu.count']),
    otel_usage_gpu_model LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['otel_usage.gpu.model'], ''),
    service_version LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['service.version'], ''),
    otel_usage_uptime Nullable(Int64) MATERIALIZED toInt64OrNull(SpanAttributes['otel_usage.uptime'])
)
ENGINE = ReplacingMergeTree(earliness)
PARTITION BY toDate(received)
ORDER BY (ServiceName, SpanName, TraceId, SpanId)
TTL received + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1;

-- Each report once. A time that can't be, since a clock was wrong, is the time at which it was received.
CREATE OR REPLACE VIEW otel_usage.reports AS
SELECT
    if(Timestamp BETWEEN received - INTERVAL 31 DAY AND received + INTERVAL 1 DAY, toDateTime(Timestamp), received) AS time,
    received,
    ServiceName AS app,
    TraceId AS trace_id,
    ResourceAttributes AS attributes,
    service_instance_id,
    otel_usage_gpu_count,
    otel_usage_gpu_model,
    service_version
FROM otel_usage.spans FINAL
WHERE SpanName = 'otel_usage.report';

-- Each heartbeat once, with what its run is and what it has done.
CREATE OR REPLACE VIEW otel_usage.heartbeats AS
SELECT
    if(Timestamp BETWEEN received - INTERVAL 31 DAY AND received + INTERVAL 1 DAY, toDateTime(Timestamp), received) AS time,
    received,
    ServiceName AS app,
    service_instance_id,
    otel_usage_gpu_count,
    otel_usage_gpu_model,
    service_version,
    otel_usage_uptime
FROM otel_usage.spans FINAL
WHERE SpanName = 'otel_usage.heartbeat';

-- Each run once, with how long it is known to have lasted, in seconds.
CREATE OR REPLACE VIEW otel_usage.runs AS
SELECT
    app,
    service_instance_id AS run,
    any(service_version) AS service_version,
    any(otel_usage_gpu_model) AS otel_usage_gpu_model,
    max(otel_usage_uptime) AS uptime,
    max(time) AS last_seen
FROM otel_usage.heartbeats
GROUP BY app, run;

-- How many reports of a day had each value, by version and GPU; how many there were in all stands at service.name.
-- It stays when the reports have gone.
CREATE TABLE IF NOT EXISTS otel_usage.daily
(
    day Date,
    app LowCardinality(String),
    service_version LowCardinality(String),
    otel_usage_gpu_model LowCardinality(String),
    attribute LowCardinality(String),
    value String,
    reports UInt64,
    counted DateTime DEFAULT now()
)
ENGINE = ReplacingMergeTree(counted)
PARTITION BY toYear(day)
ORDER BY (app, attribute, day, value, service_version, otel_usage_gpu_model);

-- Counts the last four weeks again each hour, by the day of receipt, so that each day is counted whole: what was
-- counted before is replaced, and an hour that was missed loses nothing. Query otel_usage.daily with FINAL.
CREATE MATERIALIZED VIEW IF NOT EXISTS otel_usage.daily_count
REFRESH EVERY 1 HOUR APPEND TO otel_usage.daily AS
SELECT
    toDate(received) AS day,
    app,
    ifNull(service_version, '(none)') AS service_version,
    ifNull(otel_usage_gpu_model, '(none)') AS otel_usage_gpu_model,
    attribute,
    value,
    count() AS reports,
    now() AS counted
FROM otel_usage.reports
ARRAY JOIN mapKeys(attributes) AS attribute, mapValues(attributes) AS value
WHERE received >= today() - 28 AND attribute != 'service.instance.id'
GROUP BY day, app, service_version, otel_usage_gpu_model, attribute, value;
