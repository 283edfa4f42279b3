(
        SELECT day, app, version, gpu, part.1 AS attribute, part.2 AS value, part.3 AS reports
        FROM
        (
            SELECT
                day, app, service_version AS version, otel_usage_gpu_model AS gpu, toString(attribute) AS name,
                value AS had, toInt64(reports) AS n
            FROM otel_usage.daily_before FINAL
            WHERE {{ which }} AND attribute IN ({{ names }})
        )
        ARRAY JOIN if(
            name = 'service.name',
            arrayConcat([(name, had, n)], arrayMap(one -> (one, '(none)', n), [{{ others }}])),
            [(name, had, n), (name, '(none)', -n)]
        ) AS part
    )
