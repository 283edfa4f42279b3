-- Tables and views for usage reports. Written by `otel-usage collector` from the fact table.
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
    cloud_provider LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['cloud.provider'], ''),
    otel_usage_cpu_logical_count Nullable(Int64) MATERIALIZED toInt64OrNull(ResourceAttributes['otel_usage.cpu.logical_count']),
    host_cpu_model_name LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['host.cpu.model.name'], ''),
    host_cpu_family LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['host.cpu.family'], ''),
    host_cpu_model_id LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['host.cpu.model.id'], ''),
    host_cpu_stepping LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['host.cpu.stepping'], ''),
    otel_usage_memory_limit Nullable(Int64) MATERIALIZED toInt64OrNull(ResourceAttributes['otel_usage.memory.limit']),
    host_arch LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['host.arch'], ''),
    os_description LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['os.description'], ''),
    os_type LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['os.type'], ''),
    otel_usage_gpu_runtime_name LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['otel_usage.gpu.runtime.name'], ''),
    otel_usage_gpu_runtime_version LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['otel_usage.gpu.runtime.version'], ''),
    otel_usage_gpu_count Nullable(Int64) MATERIALIZED toInt64OrNull(ResourceAttributes['otel_usage.gpu.count']),
    otel_usage_gpu_model LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['otel_usage.gpu.model'], ''),
    otel_usage_gpu_memory_limit Nullable(Int64) MATERIALIZED toInt64OrNull(ResourceAttributes['otel_usage.gpu.memory.limit']),
    otel_usage_detect_failed LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['otel_usage.detect.failed'], ''),
    otel_usage_detect_unfinished LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['otel_usage.detect.unfinished'], ''),
    vllm_env_VLLM_USE_MODELSCOPE Nullable(Bool) MATERIALIZED if(ResourceAttributes['vllm.env.VLLM_USE_MODELSCOPE'] = '', NULL, ResourceAttributes['vllm.env.VLLM_USE_MODELSCOPE'] = 'true'),
    vllm_env_VLLM_USE_FLASHINFER_SAMPLER Nullable(Bool) MATERIALIZED if(ResourceAttributes['vllm.env.VLLM_USE_FLASHINFER_SAMPLER'] = '', NULL, ResourceAttributes['vllm.env.VLLM_USE_FLASHINFER_SAMPLER'] = 'true'),
    vllm_env_VLLM_PP_LAYER_PARTITION LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['vllm.env.VLLM_PP_LAYER_PARTITION'], ''),
    vllm_env_VLLM_USE_TRITON_AWQ Nullable(Bool) MATERIALIZED if(ResourceAttributes['vllm.env.VLLM_USE_TRITON_AWQ'] = '', NULL, ResourceAttributes['vllm.env.VLLM_USE_TRITON_AWQ'] = 'true'),
    vllm_env_VLLM_ENABLE_V1_MULTIPROCESSING Nullable(Bool) MATERIALIZED if(ResourceAttributes['vllm.env.VLLM_ENABLE_V1_MULTIPROCESSING'] = '', NULL, ResourceAttributes['vllm.env.VLLM_ENABLE_V1_MULTIPROCESSING'] = 'true'),
    vllm_model_architecture LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['vllm.model.architecture'], ''),
    service_version LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['service.version'], ''),
    otel_usage_context LowCardinality(Nullable(String)) MATERIALIZED nullIf(SpanAttributes['otel_usage.context'], ''),
    otel_usage_source LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['otel_usage.source'], ''),
    vllm_config_dtype LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['vllm.config.dtype'], ''),
    vllm_config_block_size Nullable(Int64) MATERIALIZED toInt64OrNull(ResourceAttributes['vllm.config.block_size']),
    vllm_config_gpu_memory_utilization Nullable(Float64) MATERIALIZED toFloat64OrNull(ResourceAttributes['vllm.config.gpu_memory_utilization']),
    vllm_config_kv_cache_memory_bytes Nullable(Int64) MATERIALIZED toInt64OrNull(ResourceAttributes['vllm.config.kv_cache_memory_bytes']),
    vllm_config_quantization LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['vllm.config.quantization'], ''),
    vllm_config_kv_cache_dtype LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['vllm.config.kv_cache_dtype'], ''),
    vllm_config_enable_lora Nullable(Bool) MATERIALIZED if(ResourceAttributes['vllm.config.enable_lora'] = '', NULL, ResourceAttributes['vllm.config.enable_lora'] = 'true'),
    vllm_config_enable_prefix_caching Nullable(Bool) MATERIALIZED if(ResourceAttributes['vllm.config.enable_prefix_caching'] = '', NULL, ResourceAttributes['vllm.config.enable_prefix_caching'] = 'true'),
    vllm_config_enforce_eager Nullable(Bool) MATERIALIZED if(ResourceAttributes['vllm.config.enforce_eager'] = '', NULL, ResourceAttributes['vllm.config.enforce_eager'] = 'true'),
    vllm_config_disable_custom_all_reduce Nullable(Bool) MATERIALIZED if(ResourceAttributes['vllm.config.disable_custom_all_reduce'] = '', NULL, ResourceAttributes['vllm.config.disable_custom_all_reduce'] = 'true'),
    vllm_config_tensor_parallel_size Nullable(Int64) MATERIALIZED toInt64OrNull(ResourceAttributes['vllm.config.tensor_parallel_size']),
    vllm_config_data_parallel_size Nullable(Int64) MATERIALIZED toInt64OrNull(ResourceAttributes['vllm.config.data_parallel_size']),
    vllm_config_pipeline_parallel_size Nullable(Int64) MATERIALIZED toInt64OrNull(ResourceAttributes['vllm.config.pipeline_parallel_size']),
    vllm_config_enable_expert_parallel Nullable(Bool) MATERIALIZED if(ResourceAttributes['vllm.config.enable_expert_parallel'] = '', NULL, ResourceAttributes['vllm.config.enable_expert_parallel'] = 'true'),
    vllm_config_all2all_backend LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['vllm.config.all2all_backend'], ''),
    vllm_config_kv_connector LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['vllm.config.kv_connector'], ''),
    vllm_config_max_model_len Nullable(Int64) MATERIALIZED toInt64OrNull(ResourceAttributes['vllm.config.max_model_len']),
    vllm_config_max_num_seqs Nullable(Int64) MATERIALIZED toInt64OrNull(ResourceAttributes['vllm.config.max_num_seqs']),
    vllm_config_max_num_batched_tokens Nullable(Int64) MATERIALIZED toInt64OrNull(ResourceAttributes['vllm.config.max_num_batched_tokens']),
    vllm_config_attention_backend LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['vllm.config.attention_backend'], ''),
    vllm_config_compilation_mode LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['vllm.config.compilation_mode'], ''),
    vllm_config_spec_decode_method LowCardinality(Nullable(String)) MATERIALIZED nullIf(ResourceAttributes['vllm.config.spec_decode_method'], ''),
    vllm_config_num_speculative_tokens Nullable(Int64) MATERIALIZED toInt64OrNull(ResourceAttributes['vllm.config.num_speculative_tokens']),
    vllm_config_enable_eplb Nullable(Bool) MATERIALIZED if(ResourceAttributes['vllm.config.enable_eplb'] = '', NULL, ResourceAttributes['vllm.config.enable_eplb'] = 'true'),
    vllm_config_num_redundant_experts Nullable(Int64) MATERIALIZED toInt64OrNull(ResourceAttributes['vllm.config.num_redundant_experts']),
    vllm_config_num_experts Nullable(Int64) MATERIALIZED toInt64OrNull(ResourceAttributes['vllm.config.num_experts']),
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
WHERE SpanName = 'otel_usage.report';

-- Each heartbeat once, with what its run is and what it has done.
CREATE OR REPLACE VIEW otel_usage.heartbeats AS
SELECT
    if(Timestamp BETWEEN received - INTERVAL 31 DAY AND received + INTERVAL 1 DAY, toDateTime(Timestamp), received) AS time,
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
