"""An environment variable selects the visible GPUs, by the rules of each vendor's runtime."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_usage.detect import visible

UUIDS = ["GPU-9942190a-aa31", "GPU-9e8d35e3-c226", "", "GPU-47acf6a1-04e3"]
ROCM_UUIDS = ["GPU-babababababababa", "GPU-babaabbaabbaabba", "", "GPU-00000000deadbeef"]


@pytest.mark.parametrize(
    ("value", "indices"),
    [
        ("0", [0]),
        ("2,1", [2, 1]),
        ("0,1,2,3,4,5,6,7", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("", []),
        ("-1", []),
        ("NoDevFiles", []),
        (",0", []),
        ("0,", [0]),
        ("0,,1", [0]),
        ("0,2,-1,1", [0, 2]),
        ("0,8,1", [0]),
        ("8", []),
        ("0,0", []),
        ("0,1,2,1", []),
        ("0,1,-1,1", [0, 1]),
        ("one,2", []),
        ("4,3,two,1", [4, 3]),
        (" 1", [1]),
        ("0, 1,\t2 ", [0, 1, 2]),
        ("+1", [1]),
        ("2,+3,-0,5", [2, 3, 0, 5]),
        ("+-1", []),
        ("- 1", []),
        ("1abc", [1]),
        ("1gpu2,2ampere", [1, 2]),
        ("0-2", [0]),
        ("0x1", [0]),
        ("01", [1]),
        ("0.5", [0]),
        ("٣", []),
        ("0,GPU-9e8d35e3", [0]),
        ("4294967296", []),
        ("9" * 5000, []),
    ],
)
def test_an_entry_is_read_as_far_as_it_is_a_number(value, indices):
    """CUDA reads a number as strtol does, stops at an entry that is no index, and sees no GPU where one is named twice."""
    found = visible.cuda(value, lambda entry: visible.by_leading_number(entry, 8))

    assert found == indices


@pytest.mark.parametrize(
    ("value", "indices"),
    [
        ("GPU-9e8d35e3-c226", [1]),
        ("GPU-47,GPU-994", [3, 0]),
        ("GPU-9", []),
        ("GPU-47,GPU-9,GPU-994", [3]),
        ("GPU-123,GPU-47", []),
        ("GPU-47,GPU-123,GPU-994", [3]),
        ("GPU-47,GPU-47", []),
        ("GPU-47,GPU-47acf6a1-04e3", []),
        ("GPU-47,0", [3]),
        ("GPU-47,", [3]),
        ("GPU-47, GPU-994", [3]),
        ("gpu-47", []),
        ("GPU", []),
    ],
)
def test_a_uuid_may_be_cut_as_long_as_it_names_one_gpu(value, indices):
    """An ambiguous or unknown prefix ends the list; two prefixes of one UUID name it twice."""
    assert visible.cuda(value, lambda entry: visible.by_uuid(entry, UUIDS)) == indices


@pytest.mark.parametrize(
    ("value", "indices"),
    [
        ("", []),
        ("-1", []),
        ("3,0", [3, 0]),
        (" 1 , 0", [1, 0]),
        ("0,0,1", [0]),
        ("1,4,0", [1]),
        ("1x", []),
        ("3,GPU-BABABABABABABABA,4", [3, 0]),
        ("3,gpu-babaabba,GPU-XX", [3, 1]),
        ("GPU-BABA", []),
        ("GPU-", []),
        ("1,,0", [1]),
    ],
)
def test_rocr_ends_at_what_is_named_twice(value, indices):
    """This runtime, which HIP uses, allows blanks and both cases; the examples of its source are among these."""
    assert visible.rocr(value, ROCM_UUIDS) == indices


@pytest.mark.parametrize(
    ("value", "indices"),
    [
        ("2,1", [2, 1]),
        ("0,0,1", [0, 1]),
        ("0, 1", [0]),
        ("01", []),
        ("+1", []),
        ("1x", []),
        ("-1", []),
        ("0,4,1", [0]),
        ("GPU-00000000deadbeef,1", [3, 1]),
        ("GPU-DEADBEEF", []),
    ],
)
def test_hip_takes_plain_numbers_and_counts_each_once(value, indices):
    """HIP compares an entry with the index in decimal digits."""
    assert visible.hip(value, ROCM_UUIDS) == indices


@given(st.text(alphabet="0123456789+-, GPUabx\t") | st.text())
def test_whatever_is_set_the_indices_are_those_of_gpus_and_differ(value):
    """No value raises, names a missing GPU, or names one GPU twice."""
    lists = (
        visible.cuda(value, lambda entry: visible.by_leading_number(entry, 4)),
        visible.cuda(value, lambda entry: visible.by_uuid(entry, UUIDS)),
        visible.rocr(value, ROCM_UUIDS),
        visible.hip(value, ROCM_UUIDS),
    )

    assert [sorted(set(found) & set(range(4))) for found in lists] == [sorted(found) for found in lists]
