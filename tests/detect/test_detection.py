"""All detectors share one deadline, and each can fail alone."""

import threading
import time

from otel_usage.detect import OF_GPUS, Detection
from otel_usage.system.shutdown import Shutdown


def quick():
    """Find two facts, one of which is unknown."""
    yield "num_cpu", 2
    yield "cpu_type", None


def failing():
    """Find one fact and fail."""
    yield "gpu_count", 1
    raise OSError


def test_what_the_detectors_found_is_put_together():
    """Unknown facts are left out, and where all detectors answer, none is named."""
    detection = Detection({"host": quick, "cloud": lambda: iter([("provider", "GCP")])})

    assert detection.facts() == {"num_cpu": 2, "provider": "GCP"}


def test_a_detector_that_fails_costs_its_own_facts_only():
    """The facts that it found before count, and the detector is named."""
    assert Detection({"host": quick, "gpu": failing}).facts() == {"num_cpu": 2, "gpu_count": 1, "detect_failed": "gpu"}


def test_no_gpu_is_asked_where_the_app_says_all_of_them():
    """The host may fork while a driver is asked; where the app leaves one GPU fact open, the detector runs."""
    detectors = {"host": quick, "gpu": failing}

    found = [Detection(detectors, known).facts() for known in (OF_GPUS, OF_GPUS - {"rocm_runtime"})]

    assert found == [{"num_cpu": 2}, {"num_cpu": 2, "gpu_count": 1, "detect_failed": "gpu"}]


def test_a_detector_that_hangs_is_abandoned_at_the_deadline():
    """The facts of the others count, all within one deadline; the detectors that did not answer are named in order."""
    release = threading.Event()

    def hanging():
        yield "gpu_count", 8
        release.wait(30)
        yield "gpu_type", "late"

    start = time.monotonic()
    found = Detection({"host": quick, "gpu": hanging, "cloud": hanging}).facts(0.2)
    took = time.monotonic() - start
    release.set()

    assert found == {"num_cpu": 2, "gpu_count": 8, "detect_failed": "cloud,gpu"}
    assert took < 1


def test_a_hurried_detection_does_without_what_is_not_found_yet():
    """Nobody waits at exit, and a detector that had no time to answer did not fail."""
    release = threading.Event()

    def hanging():
        release.wait(30)
        yield "gpu_type", "late"

    detection = Detection({"gpu": hanging, "cloud": hanging})
    detection.hurry()
    found = detection.facts()
    release.set()

    assert found == {"detect_unfinished": "cloud,gpu"}


def test_a_detector_that_the_end_of_the_process_cuts_short_did_not_fail(monkeypatch):
    """This holds for one that has begun, for one that can't import any more, and for one that can't begin any more."""

    def ending():
        yield "num_cpu", 2
        monkeypatch.setattr(Shutdown, "begun", True)
        yield "architecture", "x86_64"
        yield "platform", "too late"

    def breaking():
        monkeypatch.setattr(Shutdown, "begun", True)
        raise ImportError
        yield

    broken = Detection({"cloud": breaking}).facts()
    monkeypatch.setattr(Shutdown, "begun", False)
    cut_short = Detection({"host": ending}).facts()
    too_late = Detection({"gpu": failing}).facts()

    assert (broken, cut_short, too_late) == (
        {"detect_unfinished": "cloud"},
        {"num_cpu": 2, "architecture": "x86_64", "detect_unfinished": "host"},
        {"detect_unfinished": "gpu"},
    )


def test_a_detector_whose_thread_can_not_be_started_counts_as_failed(monkeypatch):
    """A thread limit costs facts and never the report."""

    def fail(*_):
        raise RuntimeError

    monkeypatch.setattr("_thread.start_new_thread", fail)

    assert Detection({"host": quick}).facts() == {"detect_failed": "host"}


def test_this_machine_is_detected_whole():
    """The real detectors answer here, whatever they find."""
    found = Detection().facts(10)

    assert {"num_cpu", "architecture", "platform", "total_memory", "provider"} <= set(found)
    assert "detect_failed" not in found
