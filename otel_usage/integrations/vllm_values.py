"""The closed value sets of vLLM's facts: names that vLLM itself publishes. A private name leaves as `other`.

They are the union of vLLM 0.32.0 (20 October 2026) and 0.33.0 (1 November 2026). A name stays when a release drops it,
since earlier releases are still in use. The comment on each set names its source file in vLLM.
"""

from __future__ import annotations

# vLLM 0.32.0 and 0.33.0, vllm/model_executor/models/registry.py, _TEXT_GENERATION_MODELS.
TEXT_GENERATION = (
    "AfmoeForCausalLM", "AliceAIForCausalLM", "ApertusForCausalLM", "AXK1ForCausalLM", "BailingMoeForCausalLM",
    "BailingMoeV2_5ForCausalLM", "BailingMoeV2ForCausalLM", "BailingMoeV3ForCausalLM", "BeamForCausalLM",
    "BloomForCausalLM", "ChatGLMForConditionalGeneration", "ChatGLMModel", "Cohere2ForCausalLM",
    "Cohere2MoeForCausalLM", "CohereForCausalLM", "DbrxForCausalLM", "DeciLMForCausalLM", "DeepseekForCausalLM",
    "DeepseekV2ForCausalLM", "DeepseekV32ForCausalLM", "DeepseekV3ForCausalLM", "DeepseekV4ForCausalLM",
    "DomynEdgeForCausalLM", "DoryForCausalLM", "Ernie4_5_MoeForCausalLM", "Ernie4_5ForCausalLM", "Exaone4ForCausalLM",
    "ExaoneForCausalLM", "ExaoneMoEForCausalLM", "ExaoneMoeForCausalLM", "FalconForCausalLM", "FalconH1ForCausalLM",
    "FalconMambaForCausalLM", "FlintForCausalLM", "Gemma2ForCausalLM", "Gemma3ForCausalLM", "Gemma3nForCausalLM",
    "Gemma4ForCausalLM", "GemmaForCausalLM", "Glm4ForCausalLM", "Glm4MoeForCausalLM", "Glm4MoeLiteForCausalLM",
    "Glm5NextForCausalLM", "GlmMoeDsaForCausalLM", "GPT2LMHeadModel", "GPTJForCausalLM", "GptOssForCausalLM",
    "GraniteForCausalLM", "GraniteMoeForCausalLM", "GraniteMoeHybridForCausalLM", "GraniteMoeSharedForCausalLM",
    "GraniteMoeSWAForCausalLM", "GraniteSWAForCausalLM", "HCXVisionV2ForCausalLM", "HrmTextForCausalLM",
    "HyperCLOVAXForCausalLM", "HYV3ForCausalLM", "HYV4ForCausalLM", "InklingForCausalLM",
    "InklingForConditionalGeneration", "InternLM2ForCausalLM", "InternLM3ForCausalLM", "IQuestCoderForCausalLM",
    "IQuestLoopCoderForCausalLM", "JambaForCausalLM", "K2HorizonForCausalLM", "KimiLinearForCausalLM",
    "LagunaForCausalLM", "Lfm2ForCausalLM", "Lfm2MoeForCausalLM", "Llama4ForCausalLM", "LLaMAForCausalLM",
    "LlamaForCausalLM", "LongcatFlashForCausalLM", "LongcatFlashNgramForCausalLM", "Mamba2ForCausalLM",
    "MambaForCausalLM", "MiMoForCausalLM", "MiMoV2FlashForCausalLM", "MiMoV2ForCausalLM", "MiniCPM3ForCausalLM",
    "MiniCPMForCausalLM", "MiniMaxM2ForCausalLM", "MiniMaxM3SparseForCausalLM", "Ministral3ForCausalLM",
    "MistralForCausalLM", "MistralLarge3ForCausalLM", "MixtralForCausalLM", "MuseGlimmerForCausalLM",
    "NemotronForCausalLM", "NemotronHForCausalLM", "NemotronHPuzzleForCausalLM", "OlmoeForCausalLM",
    "OlmoHybridForCausalLM", "OPTForCausalLM", "OrionForCausalLM", "PanguEmbeddedForCausalLM",
    "PanguProMoEV2ForCausalLM", "PanguUltraMoEForCausalLM", "Param2MoEForCausalLM", "Phi3ForCausalLM",
    "PhiMoEForCausalLM", "Plamo3ForCausalLM", "Qwen2ForCausalLM", "Qwen2MoeForCausalLM", "Qwen3_5ForCausalLM",
    "Qwen3_5MoeForCausalLM", "Qwen3ForCausalLM", "Qwen3MoeForCausalLM", "Qwen3NextForCausalLM", "Qwen4ExpForCausalLM",
    "Rnj1ForCausalLM", "SarvamMLAForCausalLM", "SarvamMoEForCausalLM", "SolarForCausalLM", "StableLmForCausalLM",
    "Step1ForCausalLM", "Step3p5ForCausalLM", "Step3TextForCausalLM", "Step5ForCausalLM", "TeleChat2ForCausalLM",
    "TeleChat3ForCausalLM", "TeleFLMForCausalLM", "Zamba2ForCausalLM",
)

# vLLM 0.32.0 and 0.33.0, vllm/model_executor/models/registry.py, _EMBEDDING_MODELS.
EMBEDDING = (
    "BertForMaskedLM", "BertModel", "BertSpladeSparseEmbeddingModel", "BgeM3EmbeddingModel", "CLIPModel",
    "ColPaliForRetrieval", "DeepseekV3BidirectionalModel", "EmbeddingGemma2Model", "Gemma2Model", "Gemma3TextModel",
    "GteModel", "GteNewModel", "JinaEmbeddingsV5Model", "Lfm2BidirectionalModel", "LlamaBidirectionalModel",
    "LlamaModel", "LlamaNemotronVLModel", "LlavaNextForConditionalGeneration", "MistralModel", "ModernBertModel",
    "NomicBertModel", "Phi3VForCausalLM", "Qwen2Model", "Qwen2VLForConditionalGeneration", "RobertaForMaskedLM",
    "RobertaModel", "SiglipModel", "Terratorch", "VoyageQwen3BidirectionalEmbedModel", "XLMRobertaModel",
)

# vLLM 0.32.0 and 0.33.0, vllm/model_executor/models/registry.py, _LATE_INTERACTION_MODELS.
LATE_INTERACTION = (
    "ColBERTJinaRobertaModel", "ColBERTLfm2Model", "ColBERTModernBertModel", "ColModernVBertForRetrieval", "ColQwen3",
    "ColQwen3_5", "ColUltraVBertForRetrieval", "HF_ColBERT", "JinaForRanking", "ModernVBertModel", "OpsColQwen3Model",
    "Qwen3VLNemotronEmbedModel",
)

# vLLM 0.32.0 and 0.33.0, vllm/model_executor/models/registry.py, _REWARD_MODELS.
REWARD = (
    "InternLM2ForRewardModel", "Qwen2ForProcessRewardModel", "Qwen2ForRewardModel",
)

# vLLM 0.32.0 and 0.33.0, vllm/model_executor/models/registry.py, _TOKEN_CLASSIFICATION_MODELS.
TOKEN_CLASSIFICATION = (
    "BertForTokenClassification", "ClefFlashForJointSchema", "ClefOmniForJointSchema",
    "ModernBertForTokenClassification", "OpenAIPrivacyFilterForTokenClassification",
    "Qwen3ASRForcedAlignerForTokenClassification", "RobertaForTokenClassification", "XLMRobertaForTokenClassification",
)

# vLLM 0.32.0 and 0.33.0, vllm/model_executor/models/registry.py, _SEQUENCE_CLASSIFICATION_MODELS:
# cross-encoders among them.
SEQUENCE_CLASSIFICATION = (
    "BertForSequenceClassification", "D3ForSequenceClassification", "GPT2ForSequenceClassification",
    "GteNewForSequenceClassification", "JambaForSequenceClassification", "JinaVLForRanking",
    "LlamaBidirectionalForSequenceClassification", "LlamaNemotronVLForSequenceClassification",
    "ModernBertForSequenceClassification", "RobertaForSequenceClassification", "XLMRobertaForSequenceClassification",
)

# vLLM's main branch of 2026, tests/models/registry.py, _AUTOMATIC_CONVERTED_MODELS:
# classifiers that vLLM converts from another model. It reports the checkpoint's class name, which its registry lacks.
CONVERTED = (
    "GemmaForSequenceClassification", "LlamaForSequenceClassification", "Qwen2ForSequenceClassification",
    "Qwen3ForSequenceClassification", "Qwen3ForTokenClassification", "Qwen3VLForSequenceClassification",
)

# vLLM 0.32.0 and 0.33.0, vllm/model_executor/models/registry.py, _MULTIMODAL_MODELS.
MULTIMODAL = (
    "Alpamayo2Super", "AriaForConditionalGeneration", "AudioFlamingo3ForConditionalGeneration",
    "BagelForConditionalGeneration", "BailingMoeV3VLForConditionalGeneration", "BeeForConditionalGeneration",
    "Blip2ForConditionalGeneration", "Cohere2VisionForConditionalGeneration", "CohereAsrForConditionalGeneration",
    "CohereCompassForConditionalGeneration", "Cosmos3EdgeForConditionalGeneration", "Cosmos3ForConditionalGeneration",
    "DeepseekOCR2ForCausalLM", "DeepseekOCRForCausalLM", "DeepseekV41ForCausalLM", "DeepseekV4ForConditionalGeneration",
    "DeepseekVLV2ForCausalLM", "DiffusionGemmaForBlockDiffusion", "Dots3NoteForCausalLM", "DotsOCRForCausalLM",
    "Eagle2_5_VLForConditionalGeneration", "Ernie4_5_VLMoeForConditionalGeneration",
    "Exaone4_5_ForConditionalGeneration", "FireRedASR2ForConditionalGeneration", "FunASRForConditionalGeneration",
    "FunAudioChatForConditionalGeneration", "Gemma3ForConditionalGeneration", "Gemma3nForConditionalGeneration",
    "Gemma4ForConditionalGeneration", "Gemma4UnifiedForConditionalGeneration", "GLM4VForCausalLM",
    "Glm4vForConditionalGeneration", "Glm4vMoeForConditionalGeneration", "Glm5NextForConditionalGeneration",
    "GlmAsrForConditionalGeneration", "GlmOcrForConditionalGeneration", "Granite4VisionForConditionalGeneration",
    "GraniteSpeechForConditionalGeneration", "GraniteSpeechPlusForConditionalGeneration", "H2OVLChatModel",
    "HfMoondream", "Idefics3ForConditionalGeneration", "InternS1ForConditionalGeneration",
    "InternS1ProForConditionalGeneration", "InternS2MobiusForConditionalGeneration",
    "InternS2PreviewForConditionalGeneration", "InternVLChatModel", "InternVLForConditionalGeneration",
    "IsaacForConditionalGeneration", "KananaVForConditionalGeneration", "KeyeForConditionalGeneration",
    "KeyeVL1_5ForConditionalGeneration", "KimiK25ForConditionalGeneration", "KimiK3ForConditionalGeneration",
    "KimiVLForConditionalGeneration", "Lfm2VlForConditionalGeneration", "LightOnOCRForConditionalGeneration",
    "Llama4ForConditionalGeneration", "Llama_Nemotron_Nano_VL", "LlavaForConditionalGeneration",
    "LlavaNextVideoForConditionalGeneration", "LlavaOnevision2ForConditionalGeneration",
    "LlavaOnevisionForConditionalGeneration", "MiDashengLMModel", "MiMoV2OmniForCausalLM", "MiniCPMO",
    "MiniCPMOcrForConditionalGeneration", "MiniCPMV", "MiniCPMV4_6ForConditionalGeneration",
    "MiniCPMV4_7ForConditionalGeneration", "MiniMaxM3SparseForConditionalGeneration",
    "Mistral3ForConditionalGeneration", "Molmo2ForConditionalGeneration", "MolmoForCausalLM", "Moondream3ForCausalLM",
    "MoonshotKimiaForCausalLM", "MossAudioModel", "MossTranscribeDiarizeForConditionalGeneration",
    "MuseGlimmerForConditionalGeneration", "MuseSparkForConditionalGeneration", "NemotronH_Nano_Omni_Reasoning_V3",
    "NemotronH_Nano_VL_V2", "NemotronH_Omni_Reasoning_V3", "NemotronH_Super_Omni_Reasoning_V3",
    "NemotronParseForConditionalGeneration", "NVLM_D", "OpenCUAForConditionalGeneration",
    "OpenPanguVLForConditionalGeneration", "OpenVLAForActionPrediction", "Ovis", "Ovis2_5", "Ovis2_6_MoeForCausalLM",
    "Ovis2_6ForCausalLM", "PaddleOCRVLForConditionalGeneration", "PaliGemmaForConditionalGeneration",
    "Phi4ForCausalLMV", "Phi4MMForCausalLM", "PixtralForConditionalGeneration", "QianfanOCRForConditionalGeneration",
    "Qwen2_5_VLForConditionalGeneration", "Qwen2_5OmniForConditionalGeneration", "Qwen2_5OmniModel",
    "Qwen2AudioForConditionalGeneration", "Qwen3_5ForConditionalGeneration", "Qwen3_5MoeForConditionalGeneration",
    "Qwen3ASRForConditionalGeneration", "Qwen3ASRRealtimeGeneration", "Qwen3OmniMoeForConditionalGeneration",
    "Qwen3VLForConditionalGeneration", "Qwen3VLMoeForConditionalGeneration", "Qwen4ExpForConditionalGeneration",
    "RadioMBartPrefixForCausalLM", "RForConditionalGeneration", "SkyworkR1VChatModel",
    "SmolVLMForConditionalGeneration", "Step3p7ForConditionalGeneration", "Step3VLForConditionalGeneration",
    "Step5ForConditionalGeneration", "StepVLForConditionalGeneration", "UltravoxModel", "UnlimitedOCRForCausalLM",
    "VoxtralForConditionalGeneration", "VoxtralRealtimeGeneration", "WhisperForConditionalGeneration",
)

# vLLM 0.32.0 and 0.33.0, vllm/model_executor/models/registry.py, _SPECULATIVE_DECODING_MODELS:
# MedusaModel was dropped in 0.33.
SPECULATIVE_DECODING = (
    "BailingMoeV25MTPModel", "BailingMoeV3MTPModel", "DeepSeekMTPModel", "DeepseekV32MTPModel", "DeepSeekV4MTPModel",
    "DFlash2BeamDraftModel", "DFlash2DraftModel", "DFlashDraftModel", "DFlashLagunaForCausalLM",
    "DFlashMuseGlimmerAssistantModel", "DFlashQwen3XPressModel", "Dots3NoteMTPModel", "DSparkDraftModel",
    "DSparkV41DraftModel", "Eagle3DeepseekV2ForCausalLM", "Eagle3DeepseekV3ForCausalLM", "Eagle3LlamaForCausalLM",
    "Eagle3MiniMaxM2ForCausalLM", "Eagle3Qwen2_5vlForCausalLM", "Eagle3Qwen3ForCausalLM", "Eagle3Qwen3vlForCausalLM",
    "EagleCohereForCausalLM", "EagleDeepSeekMTPModel", "EagleLlama4ForCausalLM", "EagleLlamaForCausalLM",
    "EagleMiniCPMForCausalLM", "EagleMistralForCausalLM", "EagleMistralLarge3ForCausalLM", "ErnieMTPModel",
    "Exaone4_5_MTP", "ExaoneMoeMTP", "ExtractHiddenStatesModel", "Gemma4DSparkModel", "Gemma4MTPModel",
    "Glm4MoeLiteMTPModel", "Glm4MoeMTPModel", "Glm5NextMTPModel", "GlmOcrMTPModel", "HYV3MTPModel", "HYV4MTPModel",
    "InklingMTPModel", "InternS2MobiusMTP", "K3DSparkModel", "KimiK3MTPModel", "LiLiCorrDraftModel",
    "LlamaForCausalLMEagle3", "LongCatFlashMTPModel", "MedusaModel", "MiMoMTPModel", "MiMoV2MTPModel",
    "MiMoV2OmniMTPModel", "MiniMaxM3MTP", "MuseGlimmerAssistantModel", "MuseSparkDSparkModel", "NemotronHMTPModel",
    "OpenPanguMTPModel", "ParseAuxMTPModel", "PEagleDraftModel", "PeagleLlamaForCausalLM", "PeagleQwen3ForCausalLM",
    "Qwen3_5MoeMTP", "Qwen3_5MTP", "Qwen3DSparkModel", "Qwen3NextMTP", "Qwen3OmniDSparkModel", "Qwen3XPressModel",
    "Qwen4ExpMTP", "Step3p5MTP", "Step5MTP",
)

# vLLM 0.32.0 and 0.33.0, vllm/model_executor/models/registry.py, _TRANSFORMERS_SUPPORTED_MODELS:
# the Transformers backend runs them, and vLLM reports them in parentheses after the backend's name.
TRANSFORMERS_SUPPORTED = (
    "ArceeForCausalLM", "CwmForCausalLM", "Emu3ForConditionalGeneration", "FlexOlmoForCausalLM", "GlmForCausalLM",
    "GPTBigCodeForCausalLM", "GPTNeoXForCausalLM", "HunYuanDenseV1ForCausalLM", "HunYuanMoEV1ForCausalLM",
    "HunYuanVLForConditionalGeneration", "Jais2ForCausalLM", "Kolibri1ForCausalLM", "MellumForCausalLM",
    "NanbeigeForCausalLM", "Olmo2ForCausalLM", "Olmo3ForCausalLM", "OlmoForCausalLM", "PhiForCausalLM",
    "SeedOssForCausalLM", "SmolLM3ForCausalLM", "Starcoder2ForCausalLM", "VaultGemmaForCausalLM",
    "VibeVoiceAsrForConditionalGeneration",
)

# vLLM 0.32.0 and 0.33.0, vllm/model_executor/models/registry.py, _TRANSFORMERS_BACKEND_MODELS:
# the backend's names, before the parentheses.
TRANSFORMERS_BACKEND = (
    "TransformersEmbeddingModel", "TransformersForCausalLM", "TransformersForMTP",
    "TransformersForSequenceClassification", "TransformersMoEEmbeddingModel", "TransformersMoEForCausalLM",
    "TransformersMoEForMTP", "TransformersMoEForSequenceClassification", "TransformersMultiModalEmbeddingModel",
    "TransformersMultiModalForCausalLM", "TransformersMultiModalForSequenceClassification",
    "TransformersMultiModalMoEForCausalLM",
)

# vLLM 0.32.0 and 0.33.0, vllm/model_executor/models/registry.py, _PREVIOUSLY_SUPPORTED_MODELS:
# no longer in 0.32; older releases and the Transformers backend run them.
PREVIOUSLY_SUPPORTED = (
    "AquilaForCausalLM", "AquilaModel", "ArcticForCausalLM", "AyaVisionForConditionalGeneration", "BaiChuanForCausalLM",
    "BaichuanForCausalLM", "BambaForCausalLM", "ChameleonForConditionalGeneration", "Cheers",
    "CheersForConditionalGeneration", "DonutForConditionalGeneration", "Dots1ForCausalLM",
    "ErnieForSequenceClassification", "ErnieForTokenClassification", "ErnieModel", "Fairseq2LlamaForCausalLM",
    "FireRedLIDForConditionalGeneration", "FuyuForCausalLM", "GritLM", "Grok1ForCausalLM", "Grok1ModelForCausalLM",
    "HCXVisionForCausalLM", "InternLM2VEForCausalLM", "InternLMForCausalLM", "JAISLMHeadModel",
    "MantisForConditionalGeneration", "MiniMaxForCausalLM", "MiniMaxM1ForCausalLM", "MiniMaxText01ForCausalLM",
    "MiniMaxVL01ForConditionalGeneration", "MllamaForConditionalGeneration", "MotifForCausalLM", "MPTForCausalLM",
    "MptForCausalLM", "MusicFlamingoForConditionalGeneration", "OuroForCausalLM", "PersimmonForCausalLM",
    "Phi3SmallForCausalLM", "Phi4FlashForCausalLM", "Phi4MultimodalForCausalLM", "Plamo2ForCausalLM",
    "PrithviGeoSpatialMAE", "QWenLMHeadModel", "QwenVLForConditionalGeneration", "RWForCausalLM",
    "StableLMEpochForCausalLM", "Tarsier2ForConditionalGeneration", "TarsierForConditionalGeneration",
    "TeleChatForCausalLM", "XverseForCausalLM",
)

# vLLM 0.32.0 and 0.33.0, vllm/model_executor/models/registry.py, _OOT_SUPPORTED_MODELS:
# models of public plugins that vLLM lists.
OUT_OF_TREE = (
    "BartForConditionalGeneration", "BartModel", "Florence2ForConditionalGeneration", "MBartForConditionalGeneration",
    "Nemotron3_5AsrForRNNT",
)

# What vLLM reports as model_architecture. A name in several lists of vLLM is only in the first one above.
MODEL_ARCHITECTURES = (
    *TEXT_GENERATION, *EMBEDDING, *LATE_INTERACTION, *REWARD, *TOKEN_CLASSIFICATION, *SEQUENCE_CLASSIFICATION,
    *CONVERTED, *MULTIMODAL, *SPECULATIVE_DECODING, *TRANSFORMERS_SUPPORTED, *TRANSFORMERS_BACKEND,
    *PREVIOUSLY_SUPPORTED, *OUT_OF_TREE,
)

# vLLM 0.32.0 and 0.33.0, vllm/config/model.py, ModelDType,
# and before it the torch types that it resolves to, which are what vLLM reports.
DTYPES = (
    "torch.float16", "torch.bfloat16", "torch.float32", "auto", "half", "float16", "bfloat16", "float", "float32",
)

# vLLM 0.32.0 and 0.33.0, vllm/model_executor/layers/quantization/__init__.py, QuantizationMethods;
# plugins may register more.
QUANTIZATIONS = (
    "awq", "auto_awq", "fp8", "fbgemm_fp8", "fp_quant", "modelopt", "modelopt_fp4", "modelopt_mxfp8", "modelopt_mixed",
    "auto_gptq", "gptq", "gptq_marlin", "awq_marlin", "humming", "compressed-tensors", "experts_int8", "quark",
    "moe_wna16", "torchao", "inc", "mxfp4", "gpt_oss_mxfp4", "deepseek_v4_fp8", "online", "fp8_per_tensor",
    "fp8_per_block", "fp8_per_channel", "int8_per_channel_weight_only", "nvfp4_per_token", "mxfp8",
)

# vLLM 0.32.0 and 0.33.0, vllm/config/cache.py, CacheDType;
# the octave ones are new in 0.33, where platforms may register more.
KV_CACHE_DTYPES = (
    "auto", "float16", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2", "fp8_inc", "fp8_ds_mla", "nvfp4_ds_mla",
    "turboquant_k8v4", "turboquant_4bit_nc", "turboquant_k3v4_nc", "turboquant_3bit_nc", "octave_k3v4", "octave_k3v3",
    "octave_k3v3_compact", "ultraquant_4bit", "int4_per_token_head", "int8_per_token_head", "fp8_per_token_head",
    "nvfp4", "nvfp4_4over6",
)

# vLLM 0.32.0 and 0.33.0, vllm/config/parallel.py, All2AllBackend.
ALL2ALL_BACKENDS = (
    "naive", "pplx", "deepep_high_throughput", "deepep_low_latency", "deepep_v2", "mori_high_throughput",
    "mori_low_latency", "moonep", "nixl_ep", "allgather_reducescatter", "flashinfer_all2allv",
    "flashinfer_nvlink_two_sided", "flashinfer_nvlink_one_sided", "passthrough",
)

# vLLM 0.32.0 and 0.33.0, vllm/distributed/kv_transfer/kv_connector/factory.py, the registered names;
# the operator's own modules may add others.
KV_CONNECTORS = (
    "ExampleConnector", "ExampleHiddenStatesConnector", "LMCacheConnectorV1", "LMCacheMPConnector", "NixlConnector",
    "NixlPullConnector", "NixlPushConnector", "MultiConnector", "HiSparseConnector", "MoRIIOConnector",
    "OffloadingConnector", "DecodeBenchConnector", "MooncakeConnector", "MooncakeStoreConnector", "FlexKVConnectorV1",
    "SimpleCPUOffloadConnector", "HF3FSKVConnector",
)

# vLLM 0.32.0 and 0.33.0, vllm/v1/attention/backends/registry.py, AttentionBackendEnum;
# four are new in 0.33, and plugins may register more.
ATTENTION_BACKENDS = (
    "FLASH_ATTN", "FLASH_ATTN_DIFFKV", "TRITON_ATTN", "TRITON_ATTN_DIFFKV", "TRITON_FLASH_ATTN", "ROCM_ATTN",
    "ROCM_SEGMENTED_ATTN", "ROCM_AITER_MLA", "ROCM_AITER_TRITON_MLA", "ROCM_AITER_FA", "ROCM_AITER_MLA_SPARSE",
    "XPU_MLA_SPARSE", "TORCH_SDPA", "FLASHINFER", "TRITON_FLASHINFER", "FLASHINFER_MLA", "TOKENSPEED_MLA",
    "FLASHINFER_MLA_SPARSE", "FLASHINFER_MLA_SPARSE_SM120", "FLASHINFER_MLA_SPARSE_SM90", "TRITON_MLA", "CUTLASS_MLA",
    "FLASHMLA", "FLASHMLA_SPARSE", "FLASHMLA_SPARSE_DSV4", "FLASHINFER_MLA_SPARSE_DSV4", "ROCM_FLASHMLA_SPARSE_DSV4",
    "FLASHMLA_SPARSE_DSV41", "FLASHINFER_MLA_SPARSE_DSV41", "ROCM_FLASHMLA_SPARSE_DSV41", "FLASHMLA_MEGA_ATTN_DSV41",
    "B12X", "FLASH_ATTN_MLA", "FLASH_ATTN_MLA_SPARSE", "FLASH_ATTN_MLA_SPARSE_FA4", "MINIMAX_M3_SPARSE", "CUTLASS_MSA",
    "TRITON_MSA", "STEP5_DSA", "NO_ATTENTION", "FLEX_ATTENTION", "HPC_ATTN", "ROCM_AITER_UNIFIED_ATTN", "CPU_ATTN",
    "CPU_MLA", "AMX_MLA", "TURBOQUANT", "ROCM_OCTAVE", "ULTRAQUANT", "CUSTOM",
)

# vLLM 0.32.0 and 0.33.0, vllm/config/compilation.py, CompilationMode.
COMPILATION_MODES = (
    "NONE", "STOCK_TORCH_COMPILE", "DYNAMO_TRACE_ONCE", "VLLM_COMPILE",
)

# vLLM 0.32.0 and 0.33.0, vllm/config/speculative.py, SpeculativeMethod;
# medusa and mlp_speculator were dropped in 0.33.
SPEC_DECODE_METHODS = (
    "ngram", "draft_model", "suffix", "custom_class", "eagle", "eagle3", "extract_hidden_states", "deepseek_mtp",
    "dots3_note_mtp", "mimo_mtp", "mimo_v2_mtp", "glm4_moe_mtp", "glm4_moe_lite_mtp", "glm_ocr_mtp", "ernie_mtp",
    "nemotron_h_mtp", "exaone_moe_mtp", "exaone4_5_mtp", "qwen3_next_mtp", "qwen4_exp_mtp", "qwen3_5_mtp",
    "longcat_flash_mtp", "bailing_hybrid_v3_mtp", "minimax_m3_mtp", "bailing_hybrid_mtp", "mtp", "kimi_k3_mtp",
    "pangu_ultra_moe_mtp", "step3p5_mtp", "step5_mtp", "hy_v3_mtp", "hy_v4_mtp", "gemma4_mtp", "inkling_mtp",
    "glm5_next_mtp", "dflash", "ngram_gpu", "dspark", "medusa", "mlp_speculator",
)
