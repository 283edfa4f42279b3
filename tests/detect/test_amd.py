"""AMD's GPUs are found on a made-up /sys, as the compute driver writes it."""

import pytest

from otel_usage.detect import amd

MI300X = {"cpu_cores_count": 0, "simd_count": 1216, "gfx_target_version": 90402, "vendor_id": 4098}
RX7900 = {"cpu_cores_count": 0, "simd_count": 192, "gfx_target_version": 110000, "vendor_id": 4098}
CPU = {"cpu_cores_count": 64, "simd_count": 0, "gfx_target_version": 0, "vendor_id": 0}
GIB = 1024**3
NONE_VISIBLE = {"gpu_count": 0, "gpu_type": None, "gpu_memory_per_device": None}


@pytest.fixture
def server(sysfs):
    """A machine with two processors and eight MI300X; each has a UUID and 1 GiB more than the one before."""
    sysfs.node(0, **CPU)
    sysfs.node(1, **CPU)
    for index in range(8):
        sysfs.node(
            2 + index, [(1, (192 + index) * GIB)], **MI300X, drm_render_minor=128 + index, unique_id=0xABCD0000 + index
        )
        sysfs.adapter(128 + index, vendor="0x1002", product_name=f"AMD Instinct MI300X {index}")
    return sysfs


def described(count, index):
    """Return the facts of that many GPUs of the server, beginning with the one that is named."""
    return {
        "gpu_count": count,
        "gpu_type": f"AMD Instinct MI300X {index}",
        "gpu_memory_per_device": (192 + index) * GIB,
    }


@pytest.mark.parametrize(
    ("environ", "count", "first"),
    [
        ({}, 8, 0),
        ({"ROCR_VISIBLE_DEVICES": "3,1"}, 2, 3),
        ({"ROCR_VISIBLE_DEVICES": "GPU-00000000ABCD0005,2"}, 2, 5),
        ({"HIP_VISIBLE_DEVICES": "7"}, 1, 7),
        ({"HIP_VISIBLE_DEVICES": "GPU-00000000abcd0006"}, 1, 6),
        ({"CUDA_VISIBLE_DEVICES": "6,7"}, 2, 6),
        ({"HIP_VISIBLE_DEVICES": "2", "CUDA_VISIBLE_DEVICES": "6,7"}, 1, 2),
        ({"HIP_VISIBLE_DEVICES": "", "CUDA_VISIBLE_DEVICES": "6,7"}, 2, 6),
        ({"HIP_VISIBLE_DEVICES": ""}, 8, 0),
        ({"ROCR_VISIBLE_DEVICES": "5,4,3", "HIP_VISIBLE_DEVICES": "2,0"}, 2, 3),
        ({"ROCR_VISIBLE_DEVICES": "5,4,3", "HIP_VISIBLE_DEVICES": "1,5"}, 1, 4),
    ],
)
def test_rocms_variables_select_and_order(server, find, environ, count, first):
    """The runtime's variable comes first, HIP's selects from the rest, and CUDA's counts where HIP's is empty or unset."""
    assert find(**environ) == (described(count, first), None)


@pytest.mark.parametrize(
    "environ", [{"ROCR_VISIBLE_DEVICES": ""}, {"HIP_VISIBLE_DEVICES": "-1"}, {"CUDA_VISIBLE_DEVICES": "8"}]
)
def test_a_driver_without_a_visible_gpu_is_a_count_of_0(server, find, environ):
    """There is no name and no memory then."""
    assert find(**environ) == (NONE_VISIBLE, None)


def test_nodes_are_in_the_order_of_their_numbers(sysfs, find):
    """Node 10 comes after node 9."""
    for number in (10, 9):
        sysfs.node(number, [(1, number * GIB)], **RX7900)

    assert find()[0]["gpu_memory_per_device"] == 9 * GIB


@pytest.mark.parametrize(
    ("version", "name"),
    [(110000, "gfx1100"), (90402, "gfx942"), (90010, "gfx90a"), (100306, "gfx1036"), (120001, "gfx1201"), (0, None)],
)
def test_a_card_that_does_not_hold_its_products_name_is_named_by_architecture(sysfs, find, version, name):
    """The architecture is written as LLVM and ROCm write it."""
    sysfs.node(1, [(1, 24 * GIB)], **{**RX7900, "gfx_target_version": version}, drm_render_minor=128)
    sysfs.adapter(128, product_name="")

    assert find() == ({"gpu_count": 1, "gpu_type": name, "gpu_memory_per_device": 24 * GIB}, None)


@pytest.mark.parametrize(
    ("banks", "total", "memory"),
    [
        ([(2, 16 * GIB)], None, 16 * GIB),
        ([(1, 8 * GIB), (2, 8 * GIB), (0, 64 * GIB)], None, 16 * GIB),
        ([(1, 24 * GIB)], str(192 * GIB), 24 * GIB),
        ([], str(12 * GIB), 12 * GIB),
        ([(1, 0)], str(12 * GIB), 12 * GIB),
        ([], "none", None),
        ([], None, None),
    ],
)
def test_memory_is_the_compute_drivers_else_the_display_drivers(sysfs, find, banks, total, memory):
    """A partition has banks of its own, and the display driver knows the whole card; system memory does not count."""
    sysfs.node(1, banks, **RX7900, drm_render_minor=128)
    if total is not None:
        sysfs.adapter(128, mem_info_vram_total=total)

    assert find() == ({"gpu_count": 1, "gpu_type": "gfx1100", "gpu_memory_per_device": memory}, None)


def test_an_adapter_for_displays_alone_does_not_count(sysfs, find):
    """It is among the display adapters and has no node with SIMD units."""
    sysfs.node(0, **CPU)
    sysfs.adapter(128, vendor="0x1002", mem_info_vram_total=str(GIB // 2), product_name="Raphael")

    assert find() == ({}, None)


@pytest.mark.parametrize("name", ["class/drm/renderD128/device/vendor", "class/kfd/kfd/topology/nodes", "class/x"])
def test_without_the_compute_driver_there_is_no_gpu(sysfs, find, name):
    """Nothing is reported, as where there is no driver at all."""
    sysfs.write(name, "0x1002")

    assert find() == ({}, None)


def deny(monkeypatch, *directories, error=PermissionError):
    """Have each read of these nodes' properties fail, for root too."""

    def refuse(path, *arguments, **options):
        if path.endswith(tuple(f"/nodes/{number}/properties" for number in directories)):
            raise error
        return open(path, *arguments, **options)

    monkeypatch.setattr(amd, "open", refuse, raising=False)


def test_gpus_that_a_cgroup_denies_do_not_count(server, find, monkeypatch):
    """ROCm numbers the other GPUs from 0."""
    deny(monkeypatch, 2, 3, 5)

    assert find() == (described(5, 2), None)
    assert find(HIP_VISIBLE_DEVICES="1") == (described(1, 4), None)


def test_where_every_gpu_is_denied_none_is_visible(sysfs, find, monkeypatch):
    """There is a driver, and this process has no device."""
    sysfs.node(0, **CPU)
    sysfs.node(1, **RX7900)
    deny(monkeypatch, 1)

    assert find() == (NONE_VISIBLE, None)


@pytest.mark.parametrize("error", [OSError, TimeoutError])
def test_a_compute_driver_that_answers_with_an_error_is_an_error(server, find, monkeypatch, error):
    """No fact is known then."""
    deny(monkeypatch, 2, error=error)
    facts, raised = find()

    assert (facts, type(raised)) == ({}, error)


def test_a_node_that_goes_away_is_an_error(server, find, monkeypatch):
    """The facts that were read before can't be trusted either."""
    deny(monkeypatch, 9, error=FileNotFoundError)

    assert type(find()[1]) is FileNotFoundError


def test_what_is_no_number_is_passed_over(sysfs, find):
    """A later kernel may write any properties and nodes."""
    sysfs.node(1, [(1, GIB)], **RX7900, name="navi31", future="1 2", mask="0xff")
    sysfs.write("class/kfd/kfd/topology/nodes/future/properties", "simd_count 4")

    assert find() == ({"gpu_count": 1, "gpu_type": "gfx1100", "gpu_memory_per_device": GIB}, None)
