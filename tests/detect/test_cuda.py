"""The detector finds the devices that CUDA would enumerate, with MIG and without."""

import pynvml
import pytest

L4, A10, T4, V100 = (
    "GPU|NVIDIA L4|24152899584|GPU-11111111-aa31-4ff1-4aa9-c388d80f85f1|none",
    "GPU|NVIDIA A10|24146608128|GPU-12222222-c226-4eab-93fe-2a5a6a43a5b6|none",
    "GPU|Tesla T4|16106127360|GPU-33333333-24f5-4d2f-8a8a-2cf6b5bcbc43|none",
    "GPU|Tesla V100-SXM2-32GB|34359738368|GPU-44444444-0e9c-4a9f-b8a5-27d0a43cd4c6|none",
)
MACHINE = (L4, A10, T4, V100)
A100 = "GPU|NVIDIA A100-SXM4-40GB|42949672960|GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77|on"
ONE_G = "MIG|NVIDIA A100-SXM4-40GB MIG 1g.5gb|4864344064|MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f|7|0"
TWO_G = "MIG|NVIDIA A100-SXM4-40GB MIG 2g.10gb|9991880704|MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb|3|0"
SHARED = "MIG|NVIDIA A100-SXM4-40GB MIG 1c.2g.10gb|9991880704|MIG-1e099852-3624-56c0-8064-c5db1211e44f|3|1"
H100 = "GPU|NVIDIA H100 80GB HBM3|85520809984|GPU-c08d91cb-e324-655c-71ba-7570956445bc|off"
EMPTY = "GPU|NVIDIA A100-SXM4-40GB|42949672960|GPU-0aa11ebd-627f-af3f-1a0d-4e1fd92fd7b0|on"
DENIED = "GPU|NVIDIA L4|24152899584|GPU-5555555{}-aa31-4ff1-4aa9-c388d80f85f1|denied"
R550 = {"driver": "550.163.01"}


def described(count, device=None):
    """Return the facts of that many devices, beginning with the one of that line."""
    name, memory = (device.split("|")[1], int(device.split("|")[2])) if device else (None, None)
    return {"gpu_count": count, "gpu_type": name, "gpu_memory_per_device": memory}


@pytest.mark.parametrize(
    ("value", "count", "first"),
    [
        ("0", 1, L4),
        ("2,1", 2, T4),
        ("1,2,3", 3, A10),
        ("", 0, None),
        ("-1", 0, None),
        ("NoDevFiles", 0, None),
        ("3,9,0", 1, V100),
        ("0,0", 0, None),
        (" 3", 1, V100),
        ("2abc", 1, T4),
        ("GPU-33333333-24f5-4d2f-8a8a-2cf6b5bcbc43", 1, T4),
        ("GPU-3,GPU-11", 2, T4),
        ("GPU-1", 0, None),
        ("GPU-3,GPU-1,GPU-4", 1, T4),
        ("GPU-3,GPU-33333333", 0, None),
        ("GPU-9", 0, None),
        ("MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f", 0, None),
    ],
)
def test_cuda_visible_devices_selects_and_orders(nvml, find, value, count, first):
    """Name and memory are those of the first device that is named."""
    nvml.has(*MACHINE)

    assert find(CUDA_VISIBLE_DEVICES=value) == (described(count, first), None)


@pytest.mark.parametrize(
    ("devices", "value", "facts"),
    [
        ((A100, ONE_G), None, described(1, ONE_G)),
        ((A100, ONE_G, TWO_G), None, described(2, ONE_G)),
        ((A100, TWO_G, SHARED, ONE_G), None, described(2, TWO_G)),
        ((A100, ONE_G, TWO_G, H100), None, described(3, ONE_G)),
        ((H100, A100, ONE_G), None, described(2, H100)),
        ((H100, A100, ONE_G), "1", described(1, ONE_G)),
        ((H100, A100, ONE_G), "GPU-5d5", described(1, ONE_G)),
        ((H100, A100, ONE_G), "0", described(1, H100)),
        ((EMPTY,), None, described(0)),
        ((EMPTY, H100), None, described(1, H100)),
        ((H100, H100), None, described(2, H100)),
    ],
)
def test_a_partitioned_gpu_counts_as_its_instances(nvml, find, devices, value, facts):
    """Each GPU instance is one device, whatever compute instances it has; a GPU without instances counts for none."""
    nvml.has(*devices)
    environ = {} if value is None else {"CUDA_VISIBLE_DEVICES": value}

    assert find(**environ) == (facts, None)


@pytest.mark.parametrize(
    ("value", "count", "first"),
    [
        ("MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb", 1, TWO_G),
        ("MIG-GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77/3/0", 1, TWO_G),
        ("MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb,MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f", 2, TWO_G),
        ("MIG-1e099852-3624-56c0-8064-c5db1211e44f,MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb", 1, SHARED),
        ("MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f,MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f", 0, None),
        ("MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f,MIG-GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77/7/0", 0, None),
        ("MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f,MIG-unknown,MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb", 1, ONE_G),
        ("MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f,GPU-c08d91cb-e324-655c-71ba-7570956445bc", 1, ONE_G),
        ("MIG-GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77/3/9", 0, None),
        ("MIG-", 0, None),
        ("GPU-c08d91cb-e324-655c-71ba-7570956445bc,MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f", 1, H100),
    ],
)
def test_instances_may_be_named_in_both_forms(nvml, find, value, count, first):
    """The name is a UUID, or the GPU's UUID with two numbers; each GPU instance counts once."""
    nvml.has(A100, ONE_G, TWO_G, SHARED, H100)

    assert find(CUDA_VISIBLE_DEVICES=value) == (described(count, first), None)


@pytest.mark.parametrize(
    ("devices", "environ", "first"),
    [
        ((A100, ONE_G, TWO_G, H100), {}, ONE_G),
        ((H100, A100, TWO_G, ONE_G), {}, TWO_G),
        ((A100, ONE_G, TWO_G), {"CUDA_VISIBLE_DEVICES": "0"}, ONE_G),
        ((A100, ONE_G, TWO_G),
         {"CUDA_VISIBLE_DEVICES": "MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb,MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f"},
         TWO_G),
    ],
)  # fmt: skip
def test_drivers_before_r570_enumerate_one_instance_alone(nvml, find, devices, environ, first):
    """Neither a second instance nor a whole GPU counts beside it."""
    nvml.has(*devices, **R550)

    assert find(**environ) == (described(1, first), None)


def test_a_driver_whose_version_is_no_number_is_an_error(nvml, find):
    """NVML is shut down in any case."""
    nvml.has(A100, ONE_G, driver="unknown")
    facts, error = find()

    assert (facts, type(error), nvml.initialised) == ({}, ValueError, 0)


@pytest.mark.parametrize("code", [pynvml.NVML_ERROR_NOT_FOUND, pynvml.NVML_ERROR_NO_PERMISSION])
def test_instances_that_are_not_this_processs_do_not_count(nvml, find, code):
    """A container sees the instances that it was given; without any it has no device."""
    nvml.has(A100, ONE_G, fail=f"nvmlDeviceGetMigDeviceHandleByIndex={code}")

    assert find() == (described(0), None)


def test_a_driver_that_knows_no_mig_has_whole_gpus(nvml, find):
    """Old libraries lack the function."""
    nvml.has(A100, ONE_G, fail=f"nvmlDeviceGetMigMode={pynvml.NVML_ERROR_FUNCTION_NOT_FOUND}")

    assert find() == (described(1, A100), None)


@pytest.mark.parametrize(
    ("value", "count", "first"),
    [
        (None, 2, T4),
        ("0", 1, T4),
        ("1", 1, V100),
        ("0,1", 2, T4),
        ("0,1,2", 2, T4),
        ("GPU-4", 1, V100),
        ("GPU-5", 0, None),
    ],
)
def test_gpus_that_a_cgroup_denies_do_not_count(nvml, find, value, count, first):
    """NVML counts them too, while CUDA and schedulers number the others from 0."""
    nvml.has(DENIED.format(0), DENIED.format(1), T4, V100)
    environ = {} if value is None else {"CUDA_VISIBLE_DEVICES": value}

    assert find(**environ) == (described(count, first), None)


def test_where_every_gpu_is_denied_none_is_visible(nvml, find):
    """There is a driver, and this process has no device."""
    nvml.has(DENIED.format(0), DENIED.format(1))

    assert find() == (described(0), None)


def test_a_gpu_denied_among_partitioned_ones_does_not_count(nvml, find):
    """The others count."""
    nvml.has(A100, ONE_G, DENIED.format(0), H100)

    assert find() == (described(2, ONE_G), None)
