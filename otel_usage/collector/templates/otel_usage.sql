-- Tables and views for usage reports. Written by `otel-usage collector` from the fact table. It may be run again at any
-- time: what is there stays, and what is new is added.
CREATE DATABASE IF NOT EXISTS otel_usage;

-- What the collector's ClickHouse exporter inserts, by its own names and types. Delivery is at least once, so a span may
-- come several times. Its own time decides its partition, so all its copies are in one, and a question about some days
-- reads those alone. A time that can't be, since a clock was wrong, is that of receipt. Of copies the first is kept. What
-- is 29 days old goes, a day at a time: a clock may be a day ahead, and nothing may stay for longer than 30 days.
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
    time DateTime MATERIALIZED if(Timestamp BETWEEN received - INTERVAL 62 DAY AND received + INTERVAL 1 DAY, toDateTime(Timestamp), received),
    earliness UInt64 MATERIALIZED 18446744073709551615 - toUInt64(toUnixTimestamp64Nano(now64(9))) - rowNumberInAllBlocks(),
    INDEX of_receipt received TYPE minmax -- counting a day leaves out what holds nothing that came then
)
ENGINE = ReplacingMergeTree(earliness)
PARTITION BY toDate(time)
ORDER BY (ServiceName, SpanName, TraceId, SpanId)
TTL toDate(time) + INTERVAL 29 DAY
SETTINGS
    ttl_only_drop_parts = 1,
    merge_with_ttl_timeout = 3600, -- the default looks for what has expired every 4 hours
    min_age_to_force_merge_seconds = 3600, -- a day that is over becomes one part, which holds no copies
    min_age_to_force_merge_on_partition_only = 1;

-- A typed column for each declared attribute.
ALTER TABLE otel_usage.spans
    {{ columns }}

-- Each report once.
CREATE OR REPLACE VIEW otel_usage.reports AS
SELECT
    time,
    received,
    ServiceName AS app,
    TraceId AS trace_id,
    ResourceAttributes AS attributes,
    {{ report }}
FROM otel_usage.spans FINAL
WHERE SpanName = 'otel_usage.report'
SETTINGS do_not_merge_across_partitions_select_final = 1;

-- Each heartbeat once, with what its run is and what it has done.
CREATE OR REPLACE VIEW otel_usage.heartbeats AS
SELECT
    time,
    received,
    ServiceName AS app,
    {{ heartbeat }}
FROM otel_usage.spans FINAL
WHERE SpanName = 'otel_usage.heartbeat'
SETTINGS do_not_merge_across_partitions_select_final = 1;

-- Each run once, with how long it is known to have lasted, in seconds. Copies change none of it.
CREATE OR REPLACE VIEW otel_usage.runs AS
SELECT
    ServiceName AS app,
    service_instance_id AS run,
    any(s.service_version) AS service_version,
    any(s.otel_usage_gpu_model) AS otel_usage_gpu_model,
    max(otel_usage_uptime) AS uptime,
    max(s.time) AS last_seen
FROM otel_usage.spans AS s
WHERE SpanName = 'otel_usage.heartbeat'
GROUP BY app, run;

-- What is counted by day, which is that of receipt: a row for each report and attribute.
CREATE OR REPLACE VIEW otel_usage.day_values AS
SELECT
    toDate(received) AS day,
    app,
    ifNull(service_version, '(none)') AS version,
    ifNull(otel_usage_gpu_model, '(none)') AS gpu,
    pair.1 AS attribute,
    pair.2 AS value,
    1 AS reports
FROM otel_usage.reports
ARRAY JOIN [
    {{ daily }}
] AS pair;

-- How many reports of a day had each value, by version and GPU: days that are over, which stay when the reports have gone.
CREATE TABLE IF NOT EXISTS otel_usage.days
(
    day Date,
    app LowCardinality(String),
    service_version LowCardinality(String),
    otel_usage_gpu_model LowCardinality(String),
    attribute LowCardinality(String),
    value String,
    reports UInt64
)
ENGINE = ReplacingMergeTree
PARTITION BY toYear(day)
ORDER BY (app, attribute, day, value, service_version, otel_usage_gpu_model);

-- Counts each day that is over, once: an hour that was missed loses nothing, nor do some weeks.
CREATE MATERIALIZED VIEW IF NOT EXISTS otel_usage.days_count
REFRESH EVERY 1 HOUR OFFSET 10 MINUTE APPEND TO otel_usage.days AS
{{ over }}

-- Counts today again and again, in place of what was counted before.
CREATE MATERIALIZED VIEW IF NOT EXISTS otel_usage.today
REFRESH EVERY 10 MINUTE
(
    day Date,
    app LowCardinality(String),
    service_version LowCardinality(String),
    otel_usage_gpu_model LowCardinality(String),
    attribute LowCardinality(String),
    value String,
    reports UInt64
)
ENGINE = MergeTree ORDER BY (app, attribute) AS
{{ today }}

-- Both. Of a day, app and attribute the {{ values }} most frequent values, versions and GPUs stand by themselves, beside (rest) and
-- (none), and so do their {{ rows }} most frequent combinations: nobody can fill it with what is made up.
CREATE OR REPLACE VIEW otel_usage.daily AS
SELECT * FROM otel_usage.days FINAL
UNION ALL
SELECT * FROM otel_usage.today;
