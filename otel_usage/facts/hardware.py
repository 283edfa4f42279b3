"""The names of processors and GPUs that may leave over OTLP: forms of known vendors.

A form holds published words, and numbers of few digits. Next year's model has another number and passes. A name that
a company or a person made up has words that no form holds. The collector checks the same forms, so they use only what
RE2, the engine of its expressions, has too.
"""

from __future__ import annotations


def _any(*forms: str) -> str:
    return f"(?:{'|'.join(forms)})"


CLOCK = r"(?: {1,12}@ [0-9]\.[0-9]{1,2}GHz)?"
CORES = r"(?: {1,5}(?:[0-9]{1,3}|Dual|Quad|Six|Eight)-[Cc]ores?)?(?: Processor)?"
GRAPHICS = r"(?: {1,2}(?:w/|with) Radeon(?: Vega)?(?: [0-9]{3,4}[MS])?(?: (?:Graphics|(?:Mobile )?Gfx))?)?"

XEON = _any(
    r"E[357]-? ?[0-9]{4}[A-Z]{0,2}(?: [vV][2-6]| 0)?",
    r"[ELWX][0-9]{4}",
    r"[DEW]-[0-9]{4,5}[A-Z]{0,2}",
    r"[wW][3579]-[0-9]{4}[A-Z]?",
    r"(?:(?:Platinum|PLATINUM|Gold|GOLD|Silver|SILVER|Bronze|BRONZE|Max) )?[0-9]{4}[A-Z]{0,2}\+?",
    r"6[0-9]{2}X|6[0-9]{3}[A-Z]-[A-Z]",
    r"Platinum|Gold|Silver",
)
INTEL_CORE = _any(
    r"(?:i[3579]|m[357])-[0-9]{3,5}[A-Z]{0,2}[0-9]?",
    r"(?:M|m[357])-[0-9]Y[0-9]{2}",
    r"i3-N[0-9]{3}",
    r"i[357] CPU {1,9}(?:[A-Z] )?[0-9]{3}[A-Z]{0,2}",
    r"(?:Ultra )?X?[3579] N?[0-9]{3}[A-Z]{0,2}",
)
INTEL = _any(
    rf"(?:Intel\(R\) Xeon\(R\)|INTEL\(R\) XEON\(R\))(?: (?:CPU|Processor))?(?: {{1,12}}{XEON})?(?: {{1,2}}CPU)?",
    r"Intel\(R\) Xeon Phi\(TM\) CPU [0-9]{4}[A-Z]?",
    rf"(?:1[0-9]th Gen )?Intel\(R\) Core\(TM\) {INTEL_CORE}(?: CPU)?",
    r"Intel\(R\) Core\(TM\)2 (?:Duo|Quad|Extreme) CPU {1,9}[A-Z]{1,2}[0-9]{4}",
    r"Intel(?:\(R\))? (?:Atom|Celeron|Pentium)\((?:R|TM)\)(?: (?:Gold|Silver|Dual))?"
    r"(?: {1,2}(?:CPU|Processor))? {1,9}(?:x[3-7]-)?[A-Zx]{0,2}[0-9]{3,5}[A-Z]{0,2}(?: {1,2}(?:CPU|Processor))?",
    r"Genuine Intel\(R\)(?: CPU)?(?: 0000(?:%@)?)?",
    r"Intel\(R\)(?: Processor)? [NU][0-9]{2,3}",
)
RYZEN = _any(
    r"[3579](?: PRO)? [0-9]{3,4}[A-Z]{0,2}(?:3D)?",
    r"AI(?: [3579])?(?: PRO)?(?: (?:HX|MAX\+?|Max\+?))?(?: PRO)? [0-9]{3}",
    r"Threadripper(?: PRO)? [0-9]{4}[A-Z]{0,2}",
    r"Embedded [A-Z][0-9]{4}[A-Z]?",
    r"Z[1-9](?: Extreme)?",
)
AMD = _any(
    rf"AMD EPYC(?: (?:Embedded )?[0-9][0-9A-Z]{{2}}[0-9][A-Z]{{0,2}})?{CORES}",
    rf"AMD (?:Ryzen|RYZEN) {RYZEN}{CORES}{GRAPHICS}",
    r"AMD (?:Athlon|FX|Phenom|Opteron)(?:\((?:tm|TM)\))?(?: II)?(?: (?:Gold|Silver|PRO|Processor))?"
    rf"[ -](?:X[2346] )?[0-9]{{3,4}}[A-Z]{{0,2}}{CORES}{GRAPHICS}",
    r"AMD Custom APU [0-9]{4}|AMD Instinct MI[0-9]{3}A Accelerator",
)
ARM = _any(
    r"(?:Neoverse|Cortex)-[AEMNRVX][0-9]{1,3}(?:AE|C)?|C[1-9]-(?:Nano|Premium|Pro|Ultra)",
    r"(?:ARMv[6-9]|AArch64) Processor rev [0-9]{1,2} \((?:v[6-9]l|aarch64)\)",
    r"AWS Graviton[2-9]?",
    r"Apple [AM][0-9]{1,2}(?: (?:Pro|Max|Ultra))?",
    r"(?:Virtualized )?Apple [Ss]ilicon|Apple processor|VirtualApple",
    r"(?:Ampere(?:\(R\))? )?(?:Altra(?:\(R\))?(?: Max)?|eMAG)(?: Processor)?",
    r"Ampere-1[a-z]?|AmpereOne(?:\(R\))?|Azure-Cobalt-[0-9]{3}",
    r"(?:HUAWEI |HiSilicon )?Kunpeng[ -][0-9]{3}[A-Z]?(?:[ -][0-9]{4})?",
    r"(?:Phytium[ ,])?FT-?[0-9]{4}(?:\+|PLUS)?(?:/[0-9]{1,3})?|Phytium[ ,][DSE][0-9]{4}C?(?:/[0-9]{1,2})?|FTC[0-9]{3}",
    r"(?:Cavium )?ThunderX2?[ -][0-9]{2}(?:xx|XX)|Cavium ThunderX2\(R\) CPU CN[0-9]{4} v[0-9]\.[0-9]",
    r"NVIDIA (?:Grace|Vera)|(?:NVIDIA )?Carmel|Denver[ -]2|Olympus|A64FX|MONAKA|TSV110|Oryon",
    r"(?:Avalanche|Blizzard|Firestorm|Icestorm)-[AM][0-9]{1,2}(?:-(?:Max|Pro))?",  # Apple's cores, by the Linux kernel
    r"Snapdragon\(R\) X2?(?: (?:Elite|Plus))?(?: Extreme)? - X[0-9][EP]?[0-9]{5} - Qualcomm\(R\) Oryon\(TM\) CPU",
)
OTHERS = _any(
    r"(?:POWER|Power)(?:[7-9]|1[0-9])(?:E|NVL)?(?: \((?:architected|raw)\))?(?:, altivec supported)?",
    r"IBM/S390",
    rf"Hygon C86(?:-[0-9]G)? (?:[0-9]{{4}}|\(OPN:[0-9]{{4}}\)){CORES}|Hygon Dhyana Processor",
    r"ZHAOXIN (?:KaiXian|KaiSheng) K[HX]-U?[0-9]{4,5}[A-Z]{0,2}(?:/[0-9]{1,2})?(?:@[0-9]\.[0-9]\+?GHz)?",
    r"Loongson-3[A-E][0-9]{4}[A-Z]?(?:-(?:HV|LL)|/[A-Z])?",
    r"Montage\(R\) Jintide\(R\) C[0-9]{4}[A-Z]?|Spacemit\(R\) X[0-9]{2,3}",
    r"DO-(?:Regular|Premium-Intel|Premium-AMD)",
)
# What QEMU and KVM call the processors that they emulate.
EMULATED = _any(
    r"QEMU (?:Virtual|TCG) CPU version (?:[0-9]\.[0-9]{1,2}(?:\.[0-9])?\+?|\(cpu64-rhel6\))",
    r"Common (?:32-bit )?KVM processor",
    r"Intel (?:Xeon|Core|Atom) Processor \((?:Haswell|Broadwell|Skylake|Cascadelake|Cooperlake|Icelake|SapphireRapids|"
    r"GraniteRapids|SierraForest|ClearwaterForest|Denverton|SnowRidge)(?:, no TSX)?(?:, IBRS)?(?:, no TSX)?\)",
    r"Intel Xeon E312xx \(Sandy Bridge(?:, IBRS update)?\)",
    r"Intel Xeon E3-12xx v2 \(Ivy Bridge(?:, IBRS)?\)",
    r"Westmere E56xx/L56xx/X56xx \((?:Nehalem-C|IBRS update)\)",
    r"Intel Core i7 9xx \(Nehalem (?:Class Core i7|Core i7, IBRS update)\)",
    r"Intel Core 2 Duo P9xxx \(Penryn Class Core 2\)",
    r"Intel Celeron_4x0 \(Conroe/Merom Class Core 2\)",
    r"AMD EPYC Processor \(with IBPB\)|AMD EPYC(?:-(?:Rome|Milan|Genoa|Turin))?(?:-v[2-9])? Processor",
    r"AMD Opteron 6[23]xx class CPU|AMD Opteron (?:240|2[23]xx) \(Gen [123] Class Opteron\)",
)
CPU = _any(_any(INTEL, AMD, ARM, OTHERS) + CLOCK, EMULATED)

MIG = r"(?: MIG [1-7](?:c\.[1-7])?g\.[0-9]{1,3}gb(?:\+(?:me|gfx|me\.all)|-me)?)?"
LAPTOP = r"(?: (?:Laptop|Embedded) GPU| Max-Q| with Max-Q(?: Design)?)?"
PACKAGE = _any(
    r"-(?:SXM[2-9]?|PCIE|FHHL|DGXS|NVLINK)(?:-[0-9]{1,3}GB)?(?:-(?:LS|H|N))?",
    r"-PG[0-9]{3}-[0-9]{3}",
    r"-[0-9]{1,3}GB",
    r"-3e",
    r"(?: [0-9]{1,3}GB?(?: HBM[2-9]e?)?)?(?: (?:PCIe|NVL[0-9]{0,3}|SXM[2-9]?(?: AC)?|Active))?(?: LC)?",
)
NVIDIA = _any(
    rf"(?:(?:NVIDIA |Tesla |NVIDIA Tesla )[AGV]?[A-Z]|G?[ABHKLMPTV])[0-9]{{1,3}}(?:[A-Z]|X?[cms])?{PACKAGE}{MIG}",
    r"(?:NVIDIA )?A[2-6][05]00",
    rf"(?:NVIDIA )?RTX A?[0-9]{{3,4}}[DEH]?(?: SFF)?(?: Ada)?(?: Generation)?(?: [0-9]{{1,2}}GB)?{LAPTOP}",
    r"NVIDIA RTX PRO [0-9]{3,4}[A-Z]?(?: [0-9]{2,3}GB)?(?: Blackwell| Rubin)?(?: Generation)?"
    rf"(?: (?:SFF|(?:Max-Q )?(?:Workstation|Server)) Edition)?{LAPTOP}{MIG}",
    r"(?:NVIDIA )?GeForce (?:GTX |RTX |GT |MX)?[0-9]{3,4}(?:[AM]|MX)?(?: ?Ti)?"
    rf"(?: SUPER| Super| OEM| A| D| D [vV]2)?(?: [0-9]{{1,2}}GB)?{LAPTOP}",
    r"(?:NVIDIA )?(?:GeForce GTX )?TITAN (?:RTX|V|Xp|X|Z|Black|X \(Pascal\)|V CEO Edition|Xp COLLECTORS EDITION)",
    rf"(?:NVIDIA )?(?:Quadro (?:RTX |[A-Z]{{1,2}})|T)[0-9]{{3,4}}M?(?: [0-9]{{1,2}}GB)?{LAPTOP}",
    r"(?:NVIDIA )?(?:Jetson )?(?:AGX |IGX )?(?:Orin|Xavier|Thor)(?: Nano| NX)?(?: \(nvgpu\))?|NVIDIA Tegra X[12]",
    r"NVIDIA CMP [0-9]{2,3}HX|(?:NVIDIA )?P10[0-9]-[0-9]{3}|(?:NVIDIA|Tesla) PG[0-9]{3}-[0-9]{3}|GRID K[0-9]{1,3}",
    r"(?:NVIDIA )?Graphics Device|NVIDIA DGX (?:Display|Spark)|NVIDIA Rubin(?: CPX)?",
    r"(?:GRID|NVIDIA) (?:RTXA?|RTX PRO |RTX Pro |G?[A-Z])[0-9]{1,4}[CDGLPSX]?[LMSX]?(?: Blackwell DC|-Ada)?"
    r"(?:-[1-7])?-[0-9]{1,3}[ABCQ]4?(?:ME)?",
)
RADEON = _any(
    r"VII|(?:PRO|Pro) VII",
    r"(?:RX|PRO|Pro)[ _]?(?:[VW]|WX )?[0-9]{3,4}(?:[ _]?(?:M XT|XTX?|GRE|D|X|M|S)| DUAL SLOT"
    r"| Dual Slot| MxGPU| [0-9]{2}GB)?",
    r"RX Vega(?: [0-9]{2})?",
    r"AI[ _]PRO[ _]R[0-9]{4}[A-Z]?|R[0-9]{4}[A-Z]?",
    r"[0-9]{3,4}[MS](?: Graphics)?|(?:Vega [0-9]{1,2} )?Graphics",
)
ARC = _any(
    r"(?:Pro )?(?:[A-Z][0-9]{2,3}[AEMV]?(?: LP)? )?(?:Graphics(?: \[0x[0-9a-f]{4}\])?|GPU)",
    r"(?:Pro )?[A-Z][0-9]{2,3}[AEMV]?|Pro A40/A50 Graphics",
    r"[0-9]{3}[TV] GPU(?: \([0-9]{1,2}GB\))?",
)
ACCELERATORS = _any(
    r"HL-[0-9]{3}[A-Z]?|(?:Intel(?:\(R\))? )?(?:GAUDI|Gaudi)(?:\(R\))? ?[0-9]?[A-D]?",
    r"(?:TPU )?[vV][0-9]{1,2}(?:[EIPXeipx]| ?lite(?:pod)?)?(?:-[0-9]{1,4})?|TPU ?[0-9]{1,2}[epx]?",
    r"(?:AWS )?(?:Trainium|Inferentia)[0-9]?|(?:trn|inf)[0-9][nu]?(?:\.[0-9]{0,2}xlarge)?",
    r"(?:Huawei )?Ascend ?[0-9]{3}(?:Pro)?[A-Z]?[0-9]?[A-Z]?(?:-[0-9]|_[0-9]{2,4})?",
    r"Apple M[0-9]{1,2}(?: (?:Pro|Max|Ultra))?",
    r"(?:Cambricon )?MLU[0-9]{3}(?:-[A-Z][0-9]{1,2})?|MTT S[0-9]{2,4}|Meta[Xx] [CNX][0-9]{3}|MXC[0-9]{3}",
    r"(?:Iluvatar )?(?:BI|MR)-V[0-9]{3}[A-Z]?|Enflame S[0-9]{2}|Biren[0-9]{3}[A-Z]?|PPU-ZW[0-9]{3}[A-Z]?",
    r"(?:Kunlun )?P800|(?:Hygon |DCU )?(?:K100_AI|BW[0-9]{3,4}|Z100L?)|RBLN-C[AR][0-9]{2}|(?:Furiosa )?RNGD",
    r"Qualcomm Cloud AI 100(?: Ultra)?|IBM Spyre",
    r"cpu|hpu|neuron|npu|spyre|tpu|xpu",  # what vLLM's platforms say of a device without a name
)
GPU = _any(
    NVIDIA,
    r"(?:AMD[ _])?(?:Radeon )?Instinct[ _]MI[0-9]{1,3}[AX]?(?: ?/ ?MI[0-9]{2,3}[AX]?)?(?:[ _](?:OAM|VF|HF|HBM3E?))?",
    # What the boards themselves say; their makers put a suffix to it.
    r"AMD INSTINCT MI[0-9]{3}[AX]?(?: \(MCM\))? OAM(?: [AL]C)?(?: MBA)?(?: HPE C2| MSFT)?",
    rf"(?:AMD[ _])?Radeon(?:\(TM\))?[ _]{RADEON}",
    r"gfx[0-9]{1,2}[0-9a-f]{2}(?::sramecc[+-])?(?::xnack[+-])?",
    r"Intel\(R\) Data Center GPU (?:Max|Flex) [0-9]{3,4}[A-Z]{0,2}(?: VF)?",
    rf"Intel\(R\) Arc\(TM\) {ARC}",
    r"Intel\(R\) (?:(?:UHD|HD|Iris\(R\) Plus|Iris\(R\) Xe(?: MAX(?: 100)?)?) )?Graphics(?: P?[0-9]{3,4})?"
    r"(?: \[0x[0-9a-f]{4}\])?",
    ACCELERATORS,
)
