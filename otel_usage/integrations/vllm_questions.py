"""What vLLM's maintainers ask of the reports: the dozen that they ask first, then the rest by subject."""

from __future__ import annotations

from otel_usage.facts.question import Question

HARDWARE, MODELS, PARALLELISM = "Hardware", "Models and formats", "Parallelism"
CACHE, SCHEDULING, EXPERTS = "Memory and cache", "Scheduling and speculation", "Mixture of experts"
SWITCHES, REPORTS = "Environment variables", "The reports themselves"

QUESTIONS = (
    Question("GPU model", "gpu_type"),
    Question("GPUs by model", "gpu_type", measure="gpus"),
    Question("Engine-hours by GPU model", "gpu_type", measure="engine_hours"),
    Question("Versions over time", "vllm_version", draw="lines", over="week"),
    Question("Model architecture", "model_architecture"),
    Question("Model architecture by GPU model", ("model_architecture", "gpu_type"), draw="grid"),
    Question("Quantization", "quantization"),
    Question("Quantization by GPU model", ("quantization", "gpu_type"), draw="grid"),
    Question("Attention backend", "attention_backend"),
    Question("Tensor parallel size", "tensor_parallel_size"),
    Question("GPUs per machine", "gpu_count"),
    Question("Cloud provider", "provider"),

    Question("GPU models over time", "gpu_type", draw="lines", over="week", subject=HARDWARE),
    Question("Memory per GPU", "gpu_memory_per_device", subject=HARDWARE),
    Question("CUDA runtime", "cuda_runtime", subject=HARDWARE),
    Question("ROCm runtime", "rocm_runtime", subject=HARDWARE),
    Question("Intel GPU runtime", "xpu_runtime", subject=HARDWARE),
    Question("GPUs per machine by model", ("gpu_type", "gpu_count"), draw="grid", subject=HARDWARE),
    Question("Processor model", "cpu_type", subject=HARDWARE),
    Question("Processor family, model, stepping", "cpu_family_model_stepping", subject=HARDWARE),
    Question("Processor architecture", "architecture", subject=HARDWARE),
    Question("Logical processors", "num_cpu", subject=HARDWARE),
    Question("Host memory", "total_memory", subject=HARDWARE),
    Question("Operating system", "platform", subject=HARDWARE),

    Question("Model architectures over time", "model_architecture", draw="lines", over="week", subject=MODELS),
    Question("Quantization over time", "quantization", draw="lines", over="week", subject=MODELS),
    Question("Data type", "dtype", subject=MODELS),
    Question("Compilation mode", "compilation_mode", subject=MODELS),
    Question("Eager mode", "enforce_eager", subject=MODELS),
    Question("LoRA adapters", "enable_lora", subject=MODELS),

    Question("Tensor parallel size by GPU model", ("gpu_type", "tensor_parallel_size"), draw="grid",
             subject=PARALLELISM),
    Question("Data parallel size", "data_parallel_size", subject=PARALLELISM),
    Question("Pipeline parallel size", "pipeline_parallel_size", subject=PARALLELISM),
    Question("Custom all-reduce disabled", "disable_custom_all_reduce", subject=PARALLELISM),

    Question("Data type of the KV cache", "kv_cache_dtype", subject=CACHE),
    Question("Share of GPU memory", "gpu_memory_utilization", subject=CACHE),
    Question("Memory of the KV cache", "kv_cache_memory_bytes", subject=CACHE),
    Question("Block size", "block_size", subject=CACHE),
    Question("Prefix caching", "enable_prefix_caching", subject=CACHE),
    Question("KV connector", "kv_connector", subject=CACHE),

    Question("Longest context", "max_model_len", subject=SCHEDULING),
    Question("Most sequences in a batch", "max_num_seqs", subject=SCHEDULING),
    Question("Most tokens in a batch", "max_num_batched_tokens", subject=SCHEDULING),
    Question("Speculative decoding", "spec_decode_method", subject=SCHEDULING),
    Question("Speculative tokens", "num_speculative_tokens", subject=SCHEDULING),

    Question("Experts", "num_experts", subject=EXPERTS),
    Question("Expert parallelism", "enable_expert_parallel", subject=EXPERTS),
    Question("All-to-all backend", "all2all_backend", subject=EXPERTS),
    Question("Expert load balancing", "enable_eplb", subject=EXPERTS),
    Question("Redundant experts", "num_redundant_experts", subject=EXPERTS),

    Question("VLLM_USE_MODELSCOPE", "VLLM_USE_MODELSCOPE", subject=SWITCHES),
    Question("VLLM_USE_FLASHINFER_SAMPLER", "VLLM_USE_FLASHINFER_SAMPLER", subject=SWITCHES),
    Question("VLLM_PP_LAYER_PARTITION", "VLLM_PP_LAYER_PARTITION", subject=SWITCHES),
    Question("VLLM_USE_TRITON_AWQ", "VLLM_USE_TRITON_AWQ", subject=SWITCHES),
    Question("VLLM_ENABLE_V1_MULTIPROCESSING", "VLLM_ENABLE_V1_MULTIPROCESSING", subject=SWITCHES),

    Question("Version", "vllm_version", subject=REPORTS),
    Question("How vLLM was started", "context", subject=REPORTS),
    Question("Source", "source", subject=REPORTS),
    Question("Detectors that failed", "detect_failed", subject=REPORTS),
    Question("Detectors that did not finish", "detect_unfinished", subject=REPORTS),
)  # fmt: skip
