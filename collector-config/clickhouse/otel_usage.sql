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
    ADD COLUMN IF NOT EXISTS service_instance_id Nullable(String) MATERIALIZED nullIf(ResourceAttributes['service.instance.id'], ''),
    ADD COLUMN IF NOT EXISTS cloud_provider LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['cloud.provider'], ''),
    ADD COLUMN IF NOT EXISTS otel_usage_cpu_logical_count Nullable(Int64) MATERIALIZED if(toInt64OrNull(ResourceAttributes['otel_usage.cpu.logical_count']) BETWEEN 1 AND 8192, toInt64OrNull(ResourceAttributes['otel_usage.cpu.logical_count']), NULL),
    ADD COLUMN IF NOT EXISTS host_cpu_model_name LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['host.cpu.model.name'], ''),
    ADD COLUMN IF NOT EXISTS host_cpu_family LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['host.cpu.family'], ''),
    ADD COLUMN IF NOT EXISTS host_cpu_model_id LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['host.cpu.model.id'], ''),
    ADD COLUMN IF NOT EXISTS host_cpu_stepping LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['host.cpu.stepping'], ''),
    ADD COLUMN IF NOT EXISTS otel_usage_memory_limit Nullable(Int64) MATERIALIZED if(toInt64OrNull(ResourceAttributes['otel_usage.memory.limit']) BETWEEN 0 AND 140737488355328, toInt64OrNull(ResourceAttributes['otel_usage.memory.limit']), NULL),
    ADD COLUMN IF NOT EXISTS host_arch LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['host.arch'], ''),
    ADD COLUMN IF NOT EXISTS os_description LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['os.description'], ''),
    ADD COLUMN IF NOT EXISTS os_type LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['os.type'], ''),
    ADD COLUMN IF NOT EXISTS otel_usage_gpu_runtime_name LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['otel_usage.gpu.runtime.name'], ''),
    ADD COLUMN IF NOT EXISTS otel_usage_gpu_runtime_version LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['otel_usage.gpu.runtime.version'], ''),
    ADD COLUMN IF NOT EXISTS otel_usage_gpu_count Nullable(Int64) MATERIALIZED if(toInt64OrNull(ResourceAttributes['otel_usage.gpu.count']) BETWEEN 0 AND 4096, toInt64OrNull(ResourceAttributes['otel_usage.gpu.count']), NULL),
    ADD COLUMN IF NOT EXISTS otel_usage_gpu_model LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['otel_usage.gpu.model'], ''),
    ADD COLUMN IF NOT EXISTS otel_usage_gpu_memory_limit Nullable(Int64) MATERIALIZED if(toInt64OrNull(ResourceAttributes['otel_usage.gpu.memory.limit']) BETWEEN 0 AND 4398046511104, toInt64OrNull(ResourceAttributes['otel_usage.gpu.memory.limit']), NULL),
    ADD COLUMN IF NOT EXISTS otel_usage_detect_failed LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['otel_usage.detect.failed'], ''),
    ADD COLUMN IF NOT EXISTS otel_usage_detect_unfinished LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['otel_usage.detect.unfinished'], ''),
    ADD COLUMN IF NOT EXISTS vllm_env_VLLM_USE_MODELSCOPE Nullable(Bool) MATERIALIZED if(ResourceAttributes['vllm.env.VLLM_USE_MODELSCOPE'] = '', NULL, ResourceAttributes['vllm.env.VLLM_USE_MODELSCOPE'] = 'true'),
    ADD COLUMN IF NOT EXISTS vllm_env_VLLM_USE_FLASHINFER_SAMPLER Nullable(Bool) MATERIALIZED if(ResourceAttributes['vllm.env.VLLM_USE_FLASHINFER_SAMPLER'] = '', NULL, ResourceAttributes['vllm.env.VLLM_USE_FLASHINFER_SAMPLER'] = 'true'),
    ADD COLUMN IF NOT EXISTS vllm_env_VLLM_PP_LAYER_PARTITION LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['vllm.env.VLLM_PP_LAYER_PARTITION'], ''),
    ADD COLUMN IF NOT EXISTS vllm_env_VLLM_USE_TRITON_AWQ Nullable(Bool) MATERIALIZED if(ResourceAttributes['vllm.env.VLLM_USE_TRITON_AWQ'] = '', NULL, ResourceAttributes['vllm.env.VLLM_USE_TRITON_AWQ'] = 'true'),
    ADD COLUMN IF NOT EXISTS vllm_env_VLLM_ENABLE_V1_MULTIPROCESSING Nullable(Bool) MATERIALIZED if(ResourceAttributes['vllm.env.VLLM_ENABLE_V1_MULTIPROCESSING'] = '', NULL, ResourceAttributes['vllm.env.VLLM_ENABLE_V1_MULTIPROCESSING'] = 'true'),
    ADD COLUMN IF NOT EXISTS vllm_model_architecture LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['vllm.model.architecture'], ''),
    ADD COLUMN IF NOT EXISTS service_version LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['service.version'], ''),
    ADD COLUMN IF NOT EXISTS otel_usage_context LowCardinality(Nullable(String)) MATERIALIZED nullIf(SpanAttributes['otel_usage.context'], ''),
    ADD COLUMN IF NOT EXISTS otel_usage_source LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['otel_usage.source'], ''),
    ADD COLUMN IF NOT EXISTS vllm_config_dtype LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['vllm.config.dtype'], ''),
    ADD COLUMN IF NOT EXISTS vllm_config_block_size Nullable(Int64) MATERIALIZED if(toInt64OrNull(ResourceAttributes['vllm.config.block_size']) BETWEEN -1 AND 1048576, toInt64OrNull(ResourceAttributes['vllm.config.block_size']), NULL),
    ADD COLUMN IF NOT EXISTS vllm_config_gpu_memory_utilization Nullable(Float64) MATERIALIZED if(toFloat64OrNull(ResourceAttributes['vllm.config.gpu_memory_utilization']) BETWEEN 0.0 AND 1.0, toFloat64OrNull(ResourceAttributes['vllm.config.gpu_memory_utilization']), NULL),
    ADD COLUMN IF NOT EXISTS vllm_config_kv_cache_memory_bytes Nullable(Int64) MATERIALIZED if(toInt64OrNull(ResourceAttributes['vllm.config.kv_cache_memory_bytes']) BETWEEN -1 AND 4398046511104, toInt64OrNull(ResourceAttributes['vllm.config.kv_cache_memory_bytes']), NULL),
    ADD COLUMN IF NOT EXISTS vllm_config_quantization LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['vllm.config.quantization'], ''),
    ADD COLUMN IF NOT EXISTS vllm_config_kv_cache_dtype LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['vllm.config.kv_cache_dtype'], ''),
    ADD COLUMN IF NOT EXISTS vllm_config_enable_lora Nullable(Bool) MATERIALIZED if(ResourceAttributes['vllm.config.enable_lora'] = '', NULL, ResourceAttributes['vllm.config.enable_lora'] = 'true'),
    ADD COLUMN IF NOT EXISTS vllm_config_enable_prefix_caching Nullable(Bool) MATERIALIZED if(ResourceAttributes['vllm.config.enable_prefix_caching'] = '', NULL, ResourceAttributes['vllm.config.enable_prefix_caching'] = 'true'),
    ADD COLUMN IF NOT EXISTS vllm_config_enforce_eager Nullable(Bool) MATERIALIZED if(ResourceAttributes['vllm.config.enforce_eager'] = '', NULL, ResourceAttributes['vllm.config.enforce_eager'] = 'true'),
    ADD COLUMN IF NOT EXISTS vllm_config_disable_custom_all_reduce Nullable(Bool) MATERIALIZED if(ResourceAttributes['vllm.config.disable_custom_all_reduce'] = '', NULL, ResourceAttributes['vllm.config.disable_custom_all_reduce'] = 'true'),
    ADD COLUMN IF NOT EXISTS vllm_config_tensor_parallel_size Nullable(Int64) MATERIALIZED if(toInt64OrNull(ResourceAttributes['vllm.config.tensor_parallel_size']) BETWEEN -1 AND 4096, toInt64OrNull(ResourceAttributes['vllm.config.tensor_parallel_size']), NULL),
    ADD COLUMN IF NOT EXISTS vllm_config_data_parallel_size Nullable(Int64) MATERIALIZED if(toInt64OrNull(ResourceAttributes['vllm.config.data_parallel_size']) BETWEEN -1 AND 65536, toInt64OrNull(ResourceAttributes['vllm.config.data_parallel_size']), NULL),
    ADD COLUMN IF NOT EXISTS vllm_config_pipeline_parallel_size Nullable(Int64) MATERIALIZED if(toInt64OrNull(ResourceAttributes['vllm.config.pipeline_parallel_size']) BETWEEN -1 AND 4096, toInt64OrNull(ResourceAttributes['vllm.config.pipeline_parallel_size']), NULL),
    ADD COLUMN IF NOT EXISTS vllm_config_enable_expert_parallel Nullable(Bool) MATERIALIZED if(ResourceAttributes['vllm.config.enable_expert_parallel'] = '', NULL, ResourceAttributes['vllm.config.enable_expert_parallel'] = 'true'),
    ADD COLUMN IF NOT EXISTS vllm_config_all2all_backend LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['vllm.config.all2all_backend'], ''),
    ADD COLUMN IF NOT EXISTS vllm_config_kv_connector LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['vllm.config.kv_connector'], ''),
    ADD COLUMN IF NOT EXISTS vllm_config_max_model_len Nullable(Int64) MATERIALIZED if(toInt64OrNull(ResourceAttributes['vllm.config.max_model_len']) BETWEEN -1 AND 134217728, toInt64OrNull(ResourceAttributes['vllm.config.max_model_len']), NULL),
    ADD COLUMN IF NOT EXISTS vllm_config_max_num_seqs Nullable(Int64) MATERIALIZED if(toInt64OrNull(ResourceAttributes['vllm.config.max_num_seqs']) BETWEEN -1 AND 1048576, toInt64OrNull(ResourceAttributes['vllm.config.max_num_seqs']), NULL),
    ADD COLUMN IF NOT EXISTS vllm_config_max_num_batched_tokens Nullable(Int64) MATERIALIZED if(toInt64OrNull(ResourceAttributes['vllm.config.max_num_batched_tokens']) BETWEEN -1 AND 134217728, toInt64OrNull(ResourceAttributes['vllm.config.max_num_batched_tokens']), NULL),
    ADD COLUMN IF NOT EXISTS vllm_config_attention_backend LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['vllm.config.attention_backend'], ''),
    ADD COLUMN IF NOT EXISTS vllm_config_compilation_mode LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['vllm.config.compilation_mode'], ''),
    ADD COLUMN IF NOT EXISTS vllm_config_spec_decode_method LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['vllm.config.spec_decode_method'], ''),
    ADD COLUMN IF NOT EXISTS vllm_config_num_speculative_tokens Nullable(Int64) MATERIALIZED if(toInt64OrNull(ResourceAttributes['vllm.config.num_speculative_tokens']) BETWEEN -1 AND 4096, toInt64OrNull(ResourceAttributes['vllm.config.num_speculative_tokens']), NULL),
    ADD COLUMN IF NOT EXISTS vllm_config_enable_eplb Nullable(Bool) MATERIALIZED if(ResourceAttributes['vllm.config.enable_eplb'] = '', NULL, ResourceAttributes['vllm.config.enable_eplb'] = 'true'),
    ADD COLUMN IF NOT EXISTS vllm_config_num_redundant_experts Nullable(Int64) MATERIALIZED if(toInt64OrNull(ResourceAttributes['vllm.config.num_redundant_experts']) BETWEEN -1 AND 65536, toInt64OrNull(ResourceAttributes['vllm.config.num_redundant_experts']), NULL),
    ADD COLUMN IF NOT EXISTS vllm_config_num_experts Nullable(Int64) MATERIALIZED if(toInt64OrNull(ResourceAttributes['vllm.config.num_experts']) BETWEEN -1 AND 65536, toInt64OrNull(ResourceAttributes['vllm.config.num_experts']), NULL),
    ADD COLUMN IF NOT EXISTS otel_usage_uptime Nullable(Int64) MATERIALIZED if(toInt64OrNull(SpanAttributes['otel_usage.uptime']) BETWEEN 0 AND 316224000, toInt64OrNull(SpanAttributes['otel_usage.uptime']), NULL);

-- Each report once.
CREATE OR REPLACE VIEW otel_usage.reports AS
SELECT
    time,
    received,
    ServiceName AS app,
    TraceId AS trace_id,
    ResourceAttributes AS attributes,
    service_instance_id,
    cloud_provider,
    otel_usage_cpu_logical_count,
    host_cpu_model_name,
    host_cpu_family,
    host_cpu_model_id,
    host_cpu_stepping,
    otel_usage_memory_limit,
    host_arch,
    os_description,
    os_type,
    otel_usage_gpu_runtime_name,
    otel_usage_gpu_runtime_version,
    otel_usage_gpu_count,
    otel_usage_gpu_model,
    otel_usage_gpu_memory_limit,
    otel_usage_detect_failed,
    otel_usage_detect_unfinished,
    vllm_env_VLLM_USE_MODELSCOPE,
    vllm_env_VLLM_USE_FLASHINFER_SAMPLER,
    vllm_env_VLLM_PP_LAYER_PARTITION,
    vllm_env_VLLM_USE_TRITON_AWQ,
    vllm_env_VLLM_ENABLE_V1_MULTIPROCESSING,
    vllm_model_architecture,
    service_version,
    otel_usage_context,
    otel_usage_source,
    vllm_config_dtype,
    vllm_config_block_size,
    vllm_config_gpu_memory_utilization,
    vllm_config_kv_cache_memory_bytes,
    vllm_config_quantization,
    vllm_config_kv_cache_dtype,
    vllm_config_enable_lora,
    vllm_config_enable_prefix_caching,
    vllm_config_enforce_eager,
    vllm_config_disable_custom_all_reduce,
    vllm_config_tensor_parallel_size,
    vllm_config_data_parallel_size,
    vllm_config_pipeline_parallel_size,
    vllm_config_enable_expert_parallel,
    vllm_config_all2all_backend,
    vllm_config_kv_connector,
    vllm_config_max_model_len,
    vllm_config_max_num_seqs,
    vllm_config_max_num_batched_tokens,
    vllm_config_attention_backend,
    vllm_config_compilation_mode,
    vllm_config_spec_decode_method,
    vllm_config_num_speculative_tokens,
    vllm_config_enable_eplb,
    vllm_config_num_redundant_experts,
    vllm_config_num_experts
FROM otel_usage.spans FINAL
WHERE SpanName = 'otel_usage.report'
SETTINGS do_not_merge_across_partitions_select_final = 1;

-- Each heartbeat once, with what its run is and what it has done.
CREATE OR REPLACE VIEW otel_usage.heartbeats AS
SELECT
    time,
    received,
    ServiceName AS app,
    service_instance_id,
    cloud_provider,
    otel_usage_cpu_logical_count,
    host_cpu_model_name,
    host_cpu_family,
    host_cpu_model_id,
    host_cpu_stepping,
    otel_usage_memory_limit,
    host_arch,
    os_description,
    os_type,
    otel_usage_gpu_runtime_name,
    otel_usage_gpu_runtime_version,
    otel_usage_gpu_count,
    otel_usage_gpu_model,
    otel_usage_gpu_memory_limit,
    otel_usage_detect_failed,
    otel_usage_detect_unfinished,
    vllm_env_VLLM_USE_MODELSCOPE,
    vllm_env_VLLM_USE_FLASHINFER_SAMPLER,
    vllm_env_VLLM_PP_LAYER_PARTITION,
    vllm_env_VLLM_USE_TRITON_AWQ,
    vllm_env_VLLM_ENABLE_V1_MULTIPROCESSING,
    vllm_model_architecture,
    service_version,
    otel_usage_source,
    vllm_config_dtype,
    vllm_config_block_size,
    vllm_config_gpu_memory_utilization,
    vllm_config_kv_cache_memory_bytes,
    vllm_config_quantization,
    vllm_config_kv_cache_dtype,
    vllm_config_enable_lora,
    vllm_config_enable_prefix_caching,
    vllm_config_enforce_eager,
    vllm_config_disable_custom_all_reduce,
    vllm_config_tensor_parallel_size,
    vllm_config_data_parallel_size,
    vllm_config_pipeline_parallel_size,
    vllm_config_enable_expert_parallel,
    vllm_config_all2all_backend,
    vllm_config_kv_connector,
    vllm_config_max_model_len,
    vllm_config_max_num_seqs,
    vllm_config_max_num_batched_tokens,
    vllm_config_attention_backend,
    vllm_config_compilation_mode,
    vllm_config_spec_decode_method,
    vllm_config_num_speculative_tokens,
    vllm_config_enable_eplb,
    vllm_config_num_redundant_experts,
    vllm_config_num_experts,
    otel_usage_uptime
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
    ('service.name', app),
    ('service.version', ifNull(service_version, '(none)')),
    ('otel_usage.gpu.model', ifNull(otel_usage_gpu_model, '(none)')),
    ('vllm.model.architecture', ifNull(vllm_model_architecture, '(none)')),
    ('vllm.config.dtype', ifNull(vllm_config_dtype, '(none)')),
    ('vllm.config.quantization', ifNull(vllm_config_quantization, '(none)')),
    ('vllm.config.kv_cache_dtype', ifNull(vllm_config_kv_cache_dtype, '(none)')),
    ('vllm.config.all2all_backend', ifNull(vllm_config_all2all_backend, '(none)')),
    ('vllm.config.kv_connector', ifNull(vllm_config_kv_connector, '(none)')),
    ('vllm.config.attention_backend', ifNull(vllm_config_attention_backend, '(none)')),
    ('vllm.config.compilation_mode', ifNull(vllm_config_compilation_mode, '(none)')),
    ('vllm.config.spec_decode_method', ifNull(vllm_config_spec_decode_method, '(none)'))
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
WITH
    counted AS (SELECT * FROM otel_usage.day_values WHERE day < today() AND day >= today() - 27 AND day NOT IN (SELECT day FROM otel_usage.days)),
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
WITH
    counted AS (SELECT * FROM otel_usage.day_values WHERE day = today()),
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

-- Both. Of a day, app and attribute the 20 most frequent values, versions and GPUs stand by themselves, beside (rest) and
-- (none), and so do their 1000 most frequent combinations: nobody can fill it with what is made up.
CREATE OR REPLACE VIEW otel_usage.daily AS
SELECT * FROM otel_usage.days FINAL
UNION ALL
SELECT * FROM otel_usage.today;
