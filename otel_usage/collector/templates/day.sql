WITH
    counted AS (SELECT * FROM {{ source }}),
    frequent AS
    (
        SELECT day, app, attribute, value
        FROM counted
        WHERE value != '(none)'
        GROUP BY day, app, attribute, value
        ORDER BY sum(reports) DESC, value
        LIMIT {{ values }} BY day, app, attribute
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
    if(rank <= {{ rows }}, of_version, '(rest)') AS service_version,
    if(rank <= {{ rows }}, of_gpu, '(rest)') AS otel_usage_gpu_model,
    attribute,
    of_value AS value,
    sum(n) AS reports
FROM ranked
GROUP BY day, app, service_version, otel_usage_gpu_model, attribute, value
HAVING sum(n) > 0
