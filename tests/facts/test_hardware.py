"""The published names of processors and GPUs are admitted, and private names are not."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from otel_usage import App
from otel_usage.collector.count import GPUS as GPUS_COUNTED
from otel_usage.facts.admission import admit_value
from otel_usage.facts.hardware import CPU, GPU

ATTRIBUTES = App("myengine").attributes
CPU_NAME, GPU_NAME = ATTRIBUTES["host.cpu.model.name"], ATTRIBUTES["otel_usage.gpu.model"]

CPUS = """
Intel(R) Xeon(R) CPU @ 2.20GHz
Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz
Intel(R) Xeon(R) CPU E5-2650L v3 @ 1.80GHz
Intel(R) Xeon(R) CPU E3-1230 V2 @ 3.30GHz
Intel(R) Xeon(R) CPU           E5620  @ 2.40GHz
Intel(R) Xeon(R) CPU E5-2670 0 @ 2.60GHz
Intel(R) Xeon(R) CPU D-1541 @ 2.10GHz
Intel(R) Xeon(R) CPU Max 9480
Intel(R) Xeon(R) Processor @ 2.30GHz
Intel(R) Xeon(R) Processor
Intel(R) Xeon(R) Platinum 8175M CPU @ 2.50GHz
Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz
Intel(R) Xeon(R) Platinum 8480+
Intel(R) Xeon(R) Platinum 8480C
Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz
INTEL(R) XEON(R) PLATINUM 8568Y+
INTEL(R) XEON(R) PLATINUM 8581C CPU @ 2.10GHz
INTEL(R) XEON(R) GOLD 6548Y+
Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz
Intel(R) Xeon(R) Silver 4314 CPU @ 2.40GHz
Intel(R) Xeon(R) Bronze 3204 CPU @ 1.90GHz
Intel(R) Xeon(R) 6979P
Intel(R) Xeon(R) W-2295 CPU @ 3.00GHz
Intel(R) Xeon(R) W-11955M CPU @ 2.60GHz
Intel(R) Xeon(R) w9-3495X
Intel(R) Xeon(R) E-2288G CPU @ 3.70GHz
Intel(R) Xeon(R) D-2146NT CPU @ 2.30GHz
Intel(R) Core(TM) i7-9750H CPU @ 2.60GHz
11th Gen Intel(R) Core(TM) i7-1165G7 @ 2.80GHz
13th Gen Intel(R) Core(TM) i9-13900K
12th Gen Intel(R) Core(TM) i5-12400F
Intel(R) Core(TM) i9-14900KF
Intel(R) Core(TM) i9-10980XE CPU @ 3.00GHz
Intel(R) Core(TM) Ultra 7 155H
Intel(R) Core(TM) Ultra 9 285K
Intel(R) Core(TM) i7 CPU         920  @ 2.67GHz
Intel(R) Core(TM) i5 CPU       M 520  @ 2.40GHz
Intel(R) Core(TM)2 Duo CPU     E8400  @ 3.00GHz
Intel(R) Core(TM)2 Quad CPU    Q6600  @ 2.40GHz
Intel(R) Core(TM) m3-7Y30 CPU @ 1.00GHz
Intel(R) Core(TM) i3-N305
Intel(R) Core(TM) 3 N355
Intel(R) Atom(TM) x5-Z8350  CPU @ 1.44GHz
Intel(R) Atom(TM) CPU C3758 @ 2.20GHz
Intel(R) Atom(TM) CPU  C2750  @ 2.40GHz
Intel(R) Celeron(R) N5105 @ 2.00GHz
Intel(R) Celeron(R) CPU J1900 @ 1.99GHz
Intel(R) Pentium(R) CPU G4560 @ 3.50GHz
Intel(R) Pentium(R) Silver N6005 @ 2.00GHz
Intel(R) N100
AMD EPYC
AMD EPYC 7B12
AMD EPYC 7B13
AMD EPYC 7R13 Processor
AMD EPYC 9R14
AMD EPYC 7571
AMD EPYC 7742 64-Core Processor
AMD EPYC 9654 96-Core Processor
AMD EPYC 9V74 80-Core Processor
AMD EPYC 7V73X 64-Core Processor
AMD EPYC 7J13 64-Core Processor
AMD EPYC 7K62 48-Core Processor
AMD EPYC 74F3 24-Core Processor
AMD EPYC 7302P 16-Core Processor
AMD EPYC 8534PN 64-Core Processor
AMD EPYC Embedded 3451 16-Core Processor
AMD Ryzen 9 7950X 16-Core Processor
AMD Ryzen 9 7950X3D 16-Core Processor
AMD Ryzen 7 2700 Eight-Core Processor
AMD Ryzen 7 7840HS w/ Radeon 780M Graphics
AMD Ryzen 5 PRO 4650G with Radeon Graphics
AMD Ryzen 5 3400G with Radeon Vega Graphics
AMD Ryzen AI 9 HX 370 w/ Radeon 890M
AMD RYZEN AI MAX+ 395 w/ Radeon 8060S
AMD Ryzen Threadripper 3990X 64-Core Processor
AMD Ryzen Threadripper PRO 7995WX 96-Cores
AMD Ryzen Embedded V1605B with Radeon Vega Gfx
AMD FX(tm)-8350 Eight-Core Processor
AMD Opteron(tm) Processor 6376
AMD Opteron 63xx class CPU
AMD Phenom(tm) II X4 965 Processor
AMD EPYC Processor
AMD EPYC Processor (with IBPB)
AMD EPYC-Rome Processor
AMD EPYC-Milan-v2 Processor
Intel Xeon Processor (Skylake, IBRS)
Intel Xeon Processor (Cascadelake)
Intel Xeon Processor (Icelake)
Intel Xeon Processor (SapphireRapids)
Intel Core Processor (Haswell, no TSX, IBRS)
Intel Core Processor (Broadwell)
Intel Xeon E312xx (Sandy Bridge, IBRS update)
Westmere E56xx/L56xx/X56xx (Nehalem-C)
QEMU Virtual CPU version 2.5+
QEMU TCG CPU version 2.5+
QEMU Virtual CPU version 2.0.0
DO-Premium-Intel
Common KVM processor
Neoverse-N1
Neoverse-V2
Cortex-A72
Cortex-A78AE
ARMv8 Processor rev 1 (v8l)
AWS Graviton
AWS Graviton4
Apple M1
Apple M3 Max
VirtualApple @ 2.50GHz
Ampere(R) Altra(R) Max Processor
Ampere-1a
Kunpeng-920
HUAWEI Kunpeng 920 5250
Phytium,S2500/64
FT-2000+/64
ThunderX2 99xx
POWER9 (architected), altivec supported
POWER10
IBM/S390
Hygon C86 7285 32-core Processor
Hygon C86-4G (OPN:7470)
ZHAOXIN KaiXian KX-6640MA@2.2+GHz
Loongson-3A5000
Snapdragon(R) X Elite - X1E80100 - Qualcomm(R) Oryon(TM) CPU
Snapdragon(R) X - X126100 - Qualcomm(R) Oryon(TM) CPU
Snapdragon(R) X2 Elite Extreme - X2E96100 - Qualcomm(R) Oryon(TM) CPU
Intel(R) Xeon(R) 6975P-C
Intel(R) Xeon(R) 6985P-C CPU @ 2.60GHz
Intel(R) Xeon(R) 698X
Intel(R) Xeon(R) W9-3595X
Intel(R) Xeon(R) E-2176M  CPU @ 2.70GHz
INTEL(R) XEON(R) BRONZE 3508U
Intel Atom(R) x6425E Processor @ 1.80GHz
Genuine Intel(R) CPU 0000%@
Genuine Intel(R) CPU 0000 @ 2.60GHz
Genuine Intel(R) CPU           @ 2.40GHz
AMD Ryzen 7 3700U with Radeon Vega Mobile Gfx
AMD Ryzen 7 3700C  with Radeon Vega Mobile Gfx
AMD Instinct MI300A Accelerator
Azure-Cobalt-100
Olympus
MONAKA
C1-Ultra
Denver-2
FTC862
ThunderX2-99xx
Firestorm-M1-Max
Avalanche-M2
Phytium,S5000C/64
POWER8NVL (raw), altivec supported
Power11 (architected), altivec supported
Loongson-3C6000/S
""".strip().split("\n")

GPUS = """
NVIDIA A100-SXM4-40GB
NVIDIA A100-SXM4-80GB
NVIDIA A100-PCIE-40GB
A100-SXM4-40GB
NVIDIA A100-PG509-200
NVIDIA A100 80GB PCIe
NVIDIA A800-SXM4-80GB
NVIDIA A800 40GB Active
NVIDIA A10
NVIDIA A10G
NVIDIA A16
NVIDIA A2
NVIDIA A30
NVIDIA A40
NVIDIA H100 80GB HBM3
NVIDIA H100 PCIe
NVIDIA H100 NVL
NVIDIA H200
NVIDIA H200 NVL
NVIDIA H20
NVIDIA H20-3e
NVIDIA H800
NVIDIA GH200 480GB
NVIDIA GH200 144G HBM3e
NVIDIA B200
NVIDIA B300 SXM6 AC
NVIDIA GB200
NVIDIA GB300
NVIDIA GB10
NVIDIA R200
NVIDIA VR200
NVIDIA L4
NVIDIA L20
NVIDIA L40
NVIDIA L40S
Tesla T4
Tesla V100-SXM2-16GB
Tesla V100-SXM2-32GB-LS
Tesla V100S-PCIE-32GB
Tesla V100-DGXS-32GB
Tesla V100-FHHL-16GB
Tesla P100-PCIE-16GB
Tesla P40
Tesla M40 24GB
Tesla M60
Tesla K80
Tesla K40m
NVIDIA RTX A6000
RTX A4500
NVIDIA RTX A2000 12GB
NVIDIA RTX 6000 Ada Generation
NVIDIA RTX 4000 SFF Ada Generation
NVIDIA RTX 5000 Ada Generation Laptop GPU
NVIDIA RTX PRO 6000 Blackwell Workstation Edition
NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition
NVIDIA RTX PRO 6000 Blackwell Server Edition
NVIDIA RTX PRO 4500 Blackwell
NVIDIA RTX PRO 5000 72GB Blackwell
NVIDIA GeForce RTX 5090
NVIDIA GeForce RTX 4090
NVIDIA GeForce RTX 4090 D
NVIDIA GeForce RTX 5090 D v2
NVIDIA GeForce RTX 4070 Ti SUPER
NVIDIA GeForce RTX 3060 Laptop GPU
NVIDIA GeForce RTX 2070 Super with Max-Q Design
NVIDIA GeForce GTX 1660 Ti with Max-Q Design
NVIDIA GeForce GTX 1060 6GB
GeForce GTX 1080 Ti
NVIDIA GeForce MX450
NVIDIA GeForce GT 1030
NVIDIA GeForce GTX TITAN X
NVIDIA TITAN RTX
TITAN V
NVIDIA TITAN X (Pascal)
Quadro RTX 8000
Quadro P4000
Quadro GV100
NVIDIA T1000 8GB
NVIDIA CMP 170HX
NVIDIA Jetson AGX Orin
Orin (nvgpu)
NVIDIA Thor
NVIDIA A100-SXM4-40GB MIG 1g.5gb
NVIDIA A100-40GB MIG 1g.5gb
NVIDIA H100 80GB HBM3 MIG 1g.10gb+me
NVIDIA A100-SXM4-80GB MIG 1c.3g.40gb
NVIDIA H200 MIG 3g.71gb
GRID A100-10C
GRID A100D-80C
NVIDIA A100-1-5CME
NVIDIA L40S-48Q
NVIDIA H100XM-80C
GRID T4-16Q
GRID V100DX-32Q
GRID RTX6000-24Q
NVIDIA RTXA6000-48Q
NVIDIA RTX6000-Ada-48Q
NVIDIA RTX Pro 6000 Blackwell DC-48Q
GRID K520
AMD Instinct MI100
AMD Instinct MI210
AMD Instinct MI250X / MI250
AMD Instinct MI300A
AMD Instinct MI300X
AMD Instinct MI300X VF
AMD Instinct MI300X OAM
AMD Instinct MI308X
AMD Instinct MI325X
AMD Instinct MI355X
AMD_Instinct_MI300X
AMD_Instinct_MI300X_HF
AMD Radeon RX 7900 XTX
AMD Radeon RX 9070 XT
AMD Radeon RX 7900 GRE
Radeon RX 6800 XT
AMD_Radeon_RX7900XTX
AMD Radeon PRO W7900
AMD Radeon PRO W7900 DUAL SLOT
AMD Radeon Pro V620
AMD Radeon AI PRO R9700
AMD Radeon VII
AMD Radeon 8060S Graphics
AMD Radeon Graphics
AMD Radeon(TM) Graphics
gfx90a
gfx942
gfx1100
gfx942:sramecc+:xnack-
Intel(R) Data Center GPU Max 1550
Intel(R) Data Center GPU Flex 170
Intel(R) Arc(TM) A770 Graphics
Intel(R) Arc(TM) B580 Graphics
Intel(R) Arc(TM) Pro B60 Graphics
Intel(R) Arc(TM) Graphics
Intel(R) Arc(TM) 140V GPU (16GB)
Intel(R) UHD Graphics 770
Intel(R) Iris(R) Xe Graphics
Intel(R) Graphics [0xe211]
HL-225
HL-325L
GAUDI3
Intel(R) Gaudi(R) 3
TPU v4
TPU v5e
TPU v5p
TPU v5 lite
TPU v6e
TPU v6 lite
TPU7x
v5litepod-8
Trainium2
trn1.32xlarge
inf2.48xlarge
Ascend910B
Ascend910B4
Ascend910B2C
Ascend910_9391
Ascend310P3
Apple M2 Ultra
MLU370-X8
MTT S4000
MetaX C500
Iluvatar BI-V150
RBLN-CA25
hpu
neuron
NVIDIA Tesla V100-SXM2-16GB
NVIDIA A800 80GB PCIe LC
NVIDIA AX800
NVIDIA RTX A4000H
NVIDIA RTX 2000E Ada Generation
NVIDIA RTX A500 Embedded GPU
NVIDIA RTX 5000 Ada Generation Embedded GPU
NVIDIA RTX PRO 5000 Blackwell Embedded GPU
NVIDIA RTX PRO 6000 Blackwell Server Edition MIG 1g.24gb-me
NVIDIA GeForce RTX 3050Ti Laptop GPU
NVIDIA GeForce RTX 3050 A Laptop GPU
NVIDIA GeForce RTX 3050 OEM
NVIDIA GeForce MX570 A
Quadro M6000 24GB
Quadro M2000M
GRID P100C-12Q
GRID T4-2B4
NVIDIA H100L-94C
NVIDIA GH200-96C
AMD Instinct MI60 / MI50
AMD Radeon Instinct MI50
Radeon Instinct MI25
AMD INSTINCT MI250 (MCM) OAM AC MBA
AMD INSTINCT MI200 (MCM) OAM LC MBA HPE C2
AMD INSTINCT MI250X (MCM) OAM AC MBA MSFT
AMD Radeon RX 7600M XT
AMD Radeon PRO W7900D
AMD Radeon Pro V520 MxGPU
AMD Radeon PRO V710 MxGPU
AMD_Radeon_AI_PRO_R9700
AMD_Radeon_R9700
Intel(R) Data Center GPU Max 1550VG
Intel(R) Arc(TM) A760A Graphics
Intel(R) Arc(TM) A380E Graphics
Intel(R) Arc(TM) A310 LP Graphics
Intel(R) Arc(TM) Pro A40/A50 Graphics
Intel(R) Arc(TM) Graphics [0x5694]
Intel(R) Arc(TM) 140V GPU
Intel(R) UHD Graphics P750
""".strip().split("\n")

PRIVATE = """
ACME Corp vCPU (tenant globex)
QEMU for jane@acme.com
/srv/acme/jdoe
/home/jane/gpu
C:\\Users\\jane
GRID ACME-Globex 8C
GRID ACME-8C
GRID A100-10C-acme
NVIDIA ACME
NVIDIA L4 acme
NVIDIA L4 (acme)
NVIDIA L4acme
NVIDIA L4-jdoe
NVIDIA H100 80GB HBM3 MIG acme
NVIDIA A100-SXM4-40GB MIG 1g.5gb.acme
NVIDIA JD1985
NVIDIA JD85X-1-10C
NVIDIA 12345678
NVIDIA A123456789
NVIDIA GeForce RTX 409012345
NVIDIA RTX 6000 jane
GPU-5be557ae-ae32-47db-958b-18a1c1cb19f1
5be557ae-ae32-47db-958b-18a1c1cb19f1
5be557aeae3247db958b18a1c1cb19f1
0x74a1deadbeef
gfx942deadbeef
ghp_16C7e42F292c6912E7710c838347Ae178B4a
AKIAIOSFODNN7EXAMPLE
sk-proj-abcdefghijklmnop
1320921012345
S/N 0325019012345
10.1.2.3
gpu-node-17.acme.internal
AMD EPYC acme
AMD EPYC 7B13 acme
AMD EPYC 7B13 tenant-42
AMD EPYC ACME Processor
AMD EPYC 12345678
AMD Instinct MI300X acme
AMD Radeon jane
AMD Eng Sample: 100-000000425_37/24_N
Intel(R) Xeon(R) CPU @ 2.20GHz acme
Intel(R) Xeon(R) CPU jdoe @ 2.20GHz
Intel(R) Xeon(R) Platinum 848012345
Intel(R) Xeon(R) CPU @ 2.2012345GHz
Intel Xeon Processor (acme)
Intel Xeon Processor (Skylake, acme)
Intel(R) Arc(TM) acme Graphics
Apple M3 Max of Jane
Neoverse-N123456
Kunpeng-920 acme
QEMU Virtual CPU version acme
QEMU Virtual CPU version 2.5+acme
Common KVM processor of jane
TPU v5e-acme
Ascend910_123456
HL-225-acme
POWER9 (acme)
AMD INSTINCT MI250 (MCM) OAM AC MBA ACME
AMD INSTINCT MI250 (ACME) OAM
AMD Radeon PRO V710 MxGPU-acme
Intel(R) Xeon(R) 6975P-CACME
Intel(R) Arc(TM) Graphics [acme]
Intel(R) Arc(TM) Graphics [0x56c0acme]
Genuine Intel(R) CPU jdoe
Genuine Intel(R) CPU 00001234%@
Azure-Cobalt-acme
Firestorm-acme
Power11 (acme)
NVIDIA RTX A500 Embedded GPU acme
NVIDIA H100 80GB HBM3 MIG 1g.10gb-acme
nvidia l4
(none)
All
""".strip().split("\n")
ODD = ["", " ", "NVIDIA L4 ", " NVIDIA L4", "NVIDIA  L4", "NVIDIA\tL4", "NVIDIA L4\n", "NVIDIA L4\r", "NVIDIA L4\x00",
       "NVIDIA L4\xa0", "NVIDIA L4\u200b", "NVIDIA \uff2c4", "NVIDIA L\u0664", "AMD EPYC\n", "AMD EPYC "]  # fmt: skip


@pytest.mark.parametrize("name", CPUS)
def test_a_real_processor_passes_unchanged(name):
    """Processors of every vendor pass, also those that clouds name themselves."""
    assert admit_value(CPU_NAME, name) == (name, None)


@pytest.mark.parametrize("name", GPUS)
def test_a_real_gpu_passes_unchanged(name):
    """A whole GPU, a part of one and a virtual one pass, under the driver's name and under vLLM's."""
    assert admit_value(GPU_NAME, name) == (name, None)


@pytest.mark.parametrize("attribute", [CPU_NAME, GPU_NAME], ids=["cpu", "gpu"])
@pytest.mark.parametrize("name", [*PRIVATE, *ODD])
def test_a_private_name_leaves_as_other(name, attribute):
    """A company, a person, a token, an id, a path, a serial number and an extended real name all become `other`."""
    assert admit_value(attribute, name)[0] == "other"


def test_each_subject_has_forms_of_its_own():
    """The name of a GPU does not pass as a processor, and the name of a processor does not pass as a GPU."""
    both = [name for name in CPUS if re.fullmatch(GPU, name)], [name for name in GPUS if re.fullmatch(CPU, name)]

    assert both == (["Apple M1", "Apple M3 Max"], ["Apple M2 Ultra"])


@given(st.sampled_from(GPUS_COUNTED).flatmap(lambda form: st.from_regex(form, fullmatch=True)))
def test_a_gpu_that_is_counted_by_its_name_is_one_whose_name_passes(name):
    """The GPUs that Prometheus counts are some of those whose names may leave."""
    assert admit_value(GPU_NAME, name) == (name, None)


PUBLISHED = {word.lower() for name in [*CPUS, *GPUS] for word in re.findall("[A-Za-z]+", name)}
WORDS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=4, max_size=12)


@given(st.sampled_from(CPUS), WORDS, st.integers(0, 60), st.sampled_from(["", " ", "-"]))
def test_a_word_more_makes_a_processor_other(name, word, place, between):
    """One more word makes the name `other`, wherever it stands and whatever is around it."""
    assume(word.lower() not in PUBLISHED)
    private = f"{name[:place]}{between}{word}{between}{name[place:]}"

    assert admit_value(CPU_NAME, private)[0] == "other"


@given(st.sampled_from(GPUS), WORDS, st.integers(0, 40), st.sampled_from(["", " ", "-"]))
def test_a_word_more_makes_a_gpu_other(name, word, place, between):
    """One more word makes the name `other`, wherever it stands and whatever is around it."""
    assume(word.lower() not in PUBLISHED)
    private = f"{name[:place]}{between}{word}{between}{name[place:]}"

    assert admit_value(GPU_NAME, private)[0] == "other"


@given(st.sampled_from([(CPU_NAME, name) for name in CPUS] + [(GPU_NAME, name) for name in GPUS]), st.integers(10**7, 10**18), st.integers(0, 60))
def test_no_number_can_hold_an_id(case, number, place):
    """No name with eight digits in a row passes."""
    attribute, name = case

    assert admit_value(attribute, f"{name[:place]}{number}{name[place:]}")[0] == "other"
