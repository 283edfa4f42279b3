-- Takes over what upgrade-before.sql has set aside. README.md says how it is run.
INSERT INTO otel_usage.spans
    (Timestamp, TraceId, SpanId, SpanName, SpanKind, ServiceName, ResourceAttributes, ScopeName, ScopeVersion, SpanAttributes, StatusCode, received)
SELECT
    Timestamp, TraceId, SpanId, SpanName, SpanKind, ServiceName, ResourceAttributes, ScopeName, ScopeVersion, SpanAttributes, StatusCode, received
FROM otel_usage.spans_before FINAL;

-- The days whose reports have gone; the others are counted anew. What had no value of an attribute was not counted by
-- itself, so it is what is missing to all reports.
INSERT INTO otel_usage.days
WITH
    counted AS (SELECT * FROM (
        SELECT day, app, version, gpu, part.1 AS attribute, part.2 AS value, part.3 AS reports
        FROM
        (
            SELECT
                day, app, service_version AS version, otel_usage_gpu_model AS gpu, toString(attribute) AS name,
                value AS had, toInt64(reports) AS n
            FROM otel_usage.daily_before FINAL
            WHERE day < today() - 27 AND attribute IN ('service.name', 'service.version', 'otel_usage.gpu.model', 'vllm.model.architecture', 'vllm.config.dtype', 'vllm.config.quantization', 'vllm.config.kv_cache_dtype', 'vllm.config.all2all_backend', 'vllm.config.kv_connector', 'vllm.config.attention_backend', 'vllm.config.compilation_mode', 'vllm.config.spec_decode_method')
        )
        ARRAY JOIN if(
            name = 'service.name',
            arrayConcat([(name, had, n)], arrayMap(one -> (one, '(none)', n), ['service.version', 'otel_usage.gpu.model', 'vllm.model.architecture', 'vllm.config.dtype', 'vllm.config.quantization', 'vllm.config.kv_cache_dtype', 'vllm.config.all2all_backend', 'vllm.config.kv_connector', 'vllm.config.attention_backend', 'vllm.config.compilation_mode', 'vllm.config.spec_decode_method'])),
            [(name, had, n), (name, '(none)', -n)]
        ) AS part
    )),
    frequent AS
    (
        SELECT day, app, attribute, value
        FROM counted
        WHERE value != '(none)'
        GROUP BY day, app, attribute, value
        ORDER BY sum(reports) DESC, value
        LIMIT 20 BY day, app, attribute
    ),
    bounded AS
    (
        SELECT
            day,
            app,
            attribute,
            if(version = '(none)' OR (day, app, 'service.version', version) IN frequent, version, '(rest)') AS of_version,
            if(gpu = '(none)' OR (day, app, 'otel_usage.gpu.model', gpu) IN frequent, gpu, '(rest)') AS of_gpu,
            if(value = '(none)' OR (day, app, attribute, value) IN frequent, value, '(rest)') AS of_value,
            reports
        FROM counted
    ),
    ranked AS
    (
        SELECT
            day,
            app,
            attribute,
            of_version,
            of_gpu,
            of_value,
            sum(reports) AS n,
            row_number() OVER (PARTITION BY day, app, attribute ORDER BY n DESC, of_version, of_gpu, of_value) AS rank
        FROM bounded
        GROUP BY day, app, attribute, of_version, of_gpu, of_value
    )
SELECT
    day,
    app,
    if(rank <= 1000, of_version, '(rest)') AS service_version,
    if(rank <= 1000, of_gpu, '(rest)') AS otel_usage_gpu_model,
    attribute,
    of_value AS value,
    sum(n) AS reports
FROM ranked
GROUP BY day, app, service_version, otel_usage_gpu_model, attribute, value
HAVING sum(n) > 0;

DROP TABLE otel_usage.spans_before;

DROP TABLE otel_usage.daily_before;
