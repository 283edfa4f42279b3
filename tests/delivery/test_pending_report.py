"""A pending report is kept for one destination until it is accepted or refused permanently, also by a later run."""

import errno
import json
import os
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from myengine_app import APP
from receiver import ACCEPTS

from otel_usage import App, UsageReporter, consent
from otel_usage.cli.settings import set_mode
from otel_usage.delivery.destination import Destination, resolve
from otel_usage.delivery.exporters.connection import Connection
from otel_usage.delivery.gate import Gate
from otel_usage.delivery.outbox import waiting as names
from otel_usage.delivery.pending_report import PendingReport, forget_waiting, send_waiting, waiting
from otel_usage.facts.builtin import HEARTBEAT
from otel_usage.facts.report import Report
from otel_usage.system.shutdown import Shutdown

KEYS = ("uuid", "log_time", "batch", "quantization", "otel_usage.name", "otel_usage.trace_id", "otel_usage.span_id")


@pytest.fixture
def directory(home):
    """The app's directory."""
    return str(home / ".config" / "myengine")


@pytest.fixture
def outbox(directory):
    """Return the entries of the outbox."""

    def read():
        return [json.loads(open(os.path.join(directory, "usage_outbox", name)).read()) for name in names(directory)]

    return read


@pytest.fixture
def gate(receiver):
    """The gate of the made-up app with a receiver as its project."""
    return Gate(APP, resolve(APP, {"MYENGINE_USAGE_STATS_SERVER": receiver.url}, endpoint=None))


def kept(gate, **facts):
    """Return a report that is kept in the outbox."""
    made = PendingReport(Report(APP, {"quantization": "awq", **facts}), gate.destinations[0], gate)
    made.keep()
    return made


def test_an_entry_is_flat_json_with_the_reports_ids_and_destination(gate, directory):
    """It has everything that another attempt needs, and no secret."""
    made = kept(gate)
    (name,) = names(directory)
    with open(os.path.join(directory, "usage_outbox", name)) as file:
        found = json.load(file)
    made.leave()

    assert found == {
        "uuid": made.report.facts["uuid"], "log_time": made.report.facts["log_time"], "quantization": "awq",
        "otel_usage.name": "otel_usage.report", "otel_usage.trace_id": f"{made.report.trace_id:032x}",
        "otel_usage.span_id": f"{made.report.span_id:016x}",
        "otel_usage.destination": f"project otlp {gate.destinations[0].url}",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "done", "left"),
    [(ACCEPTS, True, 0), ((400, {}, b""), True, 0), ((503, {}, b""), False, 1), ((200, {}, b"<html>"), False, 1)],
)
def test_an_entry_leaves_the_outbox_only_once_it_was_taken_or_refused_for_good(gate, directory, receiver, reply, done, left):
    """After any other outcome it is tried again."""
    receiver.reply = reply

    assert (kept(gate).attempt(), len(names(directory))) == (done, left)


def test_another_run_sends_what_this_one_could_not(gate, directory, receiver):
    """It has the same ids, so that it counts once."""
    receiver.reply = (503, {}, b"")
    made = kept(gate)
    made.attempt()
    receiver.reply = ACCEPTS
    (name,) = waiting(gate)
    send_waiting(gate, name)
    first, second = receiver.received

    assert first.request == second.request
    assert (names(directory), made.attempt()) == ([], True)
    assert len(receiver.received) == 2


def test_a_heartbeat_is_sent_as_one(gate, receiver):
    """Its span holds the runtime facts."""
    report = Report(APP, {"uuid": "5be557ae-ae32-47db-958b-18a1c1cb19f1", "uptime": 600, "requests": 7, "batch": 8}, name=HEARTBEAT)
    made = PendingReport(report, gate.destinations[0], gate)
    made.keep()
    made.leave()
    send_waiting(gate, waiting(gate)[0])
    ((resource, span, attributes),) = receiver.only.spans

    assert (span.name, resource["myengine.config.batch"]) == ("otel_usage.heartbeat", 8)
    assert attributes == {"otel_usage.uptime": 600, "myengine.runtime.requests": 7}


def spoil(directory, **changes):
    """Change the only entry of the outbox in place."""
    path = os.path.join(directory, "usage_outbox", names(directory)[0])
    with open(path) as file:
        values = json.load(file)
    with open(path, "w") as file:
        json.dump({key: value for key, value in {**values, **changes}.items() if value != "gone"}, file)


def test_what_was_put_into_an_entry_by_another_hand_does_not_leave(gate, directory, receiver):
    """The entry is admitted again by the present table."""
    kept(gate).leave()
    spoil(directory, secret="SECRET", batch="SECRET", scheduler="SECRET/PATH", **{"otel_usage.trace_state": "SECRET"})
    send_waiting(gate, waiting(gate)[0])

    assert b"SECRET" not in receiver.only.request.SerializeToString()


def test_over_json_what_was_put_into_an_entry_by_another_hand_does_not_leave_either(directory, receiver):
    """The line is posted as it is, so admission is the only check."""
    app = App("myengine", wire="json", facts=APP.facts)
    gate = Gate(app, resolve(app, {"MYENGINE_USAGE_STATS_SERVER": receiver.url}, endpoint=None))
    made = PendingReport(Report(app, {"quantization": "awq", "batch": 8}), gate.destinations[0], gate)
    made.keep()
    made.leave()
    spoil(directory, secret="SECRET", batch="SECRET")
    send_waiting(gate, waiting(gate)[0])
    line = receiver.only.json

    assert line == {**made.report.values, "batch": None}


@pytest.mark.parametrize(
    "changes",
    [{"otel_usage.destination": "project otlp https://elsewhere.example.org/v1/traces"}, {"otel_usage.destination": 7}],
)
def test_an_entry_whose_destination_is_gone_is_deleted_unsent(gate, directory, receiver, changes):
    """An entry never changes its destination."""
    kept(gate).leave()
    spoil(directory, **changes)
    send_waiting(gate, waiting(gate)[0])

    assert (receiver.received, names(directory)) == ([], [])


@pytest.mark.parametrize(
    "changes",
    [{key: value} for key in ("otel_usage.trace_id", "otel_usage.span_id")
     for value in ("xyz", "gone", "", "0" * 16, "0" * 32, "-1", "1" * 33, "²" * 32, "1_" * 16, 7, None, ["1" * 32])]
    + [{"log_time": value} for value in ("gone", 1, -1, 2**70, 1e18, "7", None, True)] + [{"uuid": value} for value in ("gone", 7, [[]])],
    ids=str,
)  # fmt: skip
def test_an_entry_that_is_no_report_is_set_aside(gate, directory, receiver, changes):
    """No missing value is made up, and the entry never takes a turn again."""
    kept(gate).leave()
    spoil(directory, **changes)
    send_waiting(gate, waiting(gate)[0])

    assert (receiver.received, names(directory)) == ([], [])
    assert [name.rpartition(".")[2] for name in os.listdir(os.path.join(directory, "usage_outbox"))] == ["unreadable"]


@pytest.mark.parametrize("content", [b"[" * 60_000, b'{"a":' * 10_000, b"9" * 5_000, b"\xff", b"[]"], ids=lambda content: repr(content[:5]))
def test_entries_that_can_not_be_read_hold_up_none_behind_them(gate, directory, receiver, content):
    """There are more of them here than a run sends of others' entries."""
    for number in range(6):
        kept(gate, log_time=number + 1).leave()
    for name in names(directory):
        with open(os.path.join(directory, "usage_outbox", name), "wb") as file:
            file.write(content)
    kept(gate).leave()
    for _ in range(2):
        for name in waiting(gate)[:4]:
            send_waiting(gate, name)

    assert (len(receiver.received), names(directory)) == (1, [])


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([-1, 2**64, 10**400]) | st.floats() | st.text() | st.sampled_from(["0" * 32, "f" * 16, "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def test_one_look_at_an_entry_is_enough_whatever_it_holds(gate, directory):
    """The entry is sent, set aside or deleted, and nothing raises."""

    @given(st.binary(max_size=200) | st.dictionaries(st.sampled_from(KEYS) | st.text(), ANYTHING, max_size=3))
    @example({"otel_usage.trace_id": -1})
    @example(b"[" * 60_000)
    def check(content):
        kept(gate).leave()
        if isinstance(content, dict):
            spoil(directory, **content)
        else:
            with open(os.path.join(directory, "usage_outbox", names(directory)[0]), "wb") as file:
                file.write(content)
        send_waiting(gate, waiting(gate)[0])

        assert names(directory) == []

    check()


def test_what_was_collected_before_reporting_was_turned_on_is_never_sent(gate, directory, receiver):
    """The time of `on` decides, whatever waits."""
    kept(gate).leave()
    set_mode(directory, "on")
    later = kept(gate, batch=8)
    later.leave()
    for name in waiting(gate):
        send_waiting(gate, name)
    ((resource, _, _),) = receiver.only.spans

    assert (resource["service.instance.id"], names(directory)) == (later.report.facts["uuid"], [])


@pytest.mark.parametrize("wire", ["otlp", "json"])
def test_a_report_is_not_sent_once_reporting_was_turned_off_and_on_again_meanwhile(gate, directory, receiver, monkeypatch, wire):
    """An `off` and `on` during the connect stop it, though the mode is `on` again."""
    connect = Connection.open

    def turn_off_and_on(connection, *arguments, **named):
        connect(connection, *arguments, **named)
        set_mode(directory, "off")
        set_mode(directory, "on")

    monkeypatch.setattr(Connection, "open", turn_off_and_on)
    destination = Destination("project", f"{receiver.url}/v1/traces", wire, by_operator=True)
    made = PendingReport(Report(APP, {"quantization": "awq"}), destination, gate)
    made.attempt()

    assert (made.outcome.detail, receiver.received, gate.decide().mode) == ("not sent: the mode is no longer on", [], "on")


@pytest.mark.parametrize("kept", [True, False])
def test_a_report_that_waits_is_not_sent_once_reporting_was_turned_off_and_on_again(gate, directory, receiver, kept):
    """This holds between two attempts of one run, in the outbox and in memory."""
    made = PendingReport(Report(APP, {"quantization": "awq"}), gate.destinations[0], gate)
    if kept:
        made.keep()
    receiver.reply = (503, {}, b"")
    first = made.attempt()
    set_mode(directory, "on")
    receiver.reply = ACCEPTS

    assert (first, made.attempt(), len(receiver.received), names(directory)) == (False, True, 1, [])


@pytest.mark.parametrize("text", ["on 2999-01-01T00:00:00Z", "on 2026-99-99"])
def test_a_time_in_the_future_or_no_time_lets_nothing_old_out(gate, directory, receiver, text):
    """A time that can't be read counts as now."""
    kept(gate).leave()
    with open(os.path.join(directory, "usage_mode"), "w") as file:
        file.write(text)
    send_waiting(gate, waiting(gate)[0])

    assert (receiver.received, names(directory)) == ([], [])


@pytest.mark.parametrize(("seconds", "sent"), [(-60, 1), (60, 0)])
def test_what_is_older_than_30_days_is_deleted_unsent(gate, directory, receiver, seconds, sent):
    """The time of collection counts, and nothing is deleted a minute early."""
    kept(gate, log_time=time.time_ns() - (30 * 24 * 3600 + seconds) * 10**9).leave()
    send_waiting(gate, waiting(gate)[0])

    assert (len(receiver.received), names(directory)) == (sent, [])


@pytest.mark.parametrize("signal", ["DO_NOT_TRACK", "OTEL_USAGE_EXPORTER"])
def test_nothing_is_put_and_nothing_sent_where_the_mode_is_not_on(gate, directory, receiver, monkeypatch, signal):
    """The next report deletes what waits, so that a later `on` never sends it."""
    kept(gate).leave()
    with monkeypatch.context() as patch:
        patch.setenv(signal, "none")
        kept(gate).leave()
        between = len(names(directory))
        with UsageReporter(APP) as usage:
            usage.report()
    after = names(directory)

    assert (between, after, receiver.received) == (1, [], [])


def test_a_test_run_leaves_what_waits_alone(gate, directory):
    """A test run sends nothing, and it is not an opt-out of the user."""
    kept(gate).leave()
    with UsageReporter("myengine", endpoint="https://stats.example.org") as usage:
        usage.report()

    assert len(names(directory)) == 1


def test_without_an_outbox_a_report_waits_in_memory(gate, directory, receiver):
    """A report is sent even where the disk can't store it."""
    os.makedirs(directory)
    with open(os.path.join(directory, "usage_outbox"), "w"):
        pass
    receiver.reply = (503, {}, b"")
    made = kept(gate)
    first = made.attempt()
    receiver.reply = ACCEPTS

    assert (first, made.attempt(), made.name, len(receiver.received)) == (False, True, None, 2)


def test_a_report_is_kept_once(gate, directory):
    """Keeping it again changes nothing."""
    made = kept(gate)
    made.keep()
    made.leave()

    assert names(directory) == [made.name]


@pytest.mark.parametrize(("reply", "after"), [((503, {}, b""), 0.0), ((503, {"Retry-After": "7"}, b""), 7.0), (ACCEPTS, 0.0)])
def test_a_report_waits_as_long_as_the_last_answer_asked(gate, receiver, reply, after):
    """It does not wait before the first answer, or where the last answer did not ask for it."""
    receiver.reply = reply
    made = kept(gate)
    before = made.after
    made.attempt()

    assert (before, made.after) == (0.0, after)


def test_nothing_of_others_is_sent_once_the_process_ends(gate, directory, receiver, monkeypatch):
    """It waits for a later run."""
    made = kept(gate)
    made.leave()
    monkeypatch.setattr(Shutdown, "begun", True)
    send_waiting(gate, made.name)

    assert (receiver.received, names(directory)) == ([], [made.name])


def test_without_a_directory_nothing_waits(gate, receiver, monkeypatch):
    """Sending what waits does nothing there."""
    monkeypatch.setattr("otel_usage.delivery.gate.config_directory", lambda *_, **__: None)
    monkeypatch.setattr("otel_usage.delivery.pending_report.config_directory", lambda *_, **__: None)
    send_waiting(gate, f"{1:020d}.5.report.u.json")
    forget_waiting(APP)

    assert (waiting(gate), receiver.received) == ([], [])


def test_an_account_is_not_asked_for_its_home_to_forget_what_waits(monkeypatch):
    """That look-up may go to the network, and the mode is not on."""
    asked = []
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(consent, "_account_home", lambda: asked.append("asked") or "/nonexistent")
    forget_waiting(APP)
    unasked = list(asked)
    consent.config_directory("myengine")

    assert (unasked, asked) == ([], ["asked"])


@pytest.mark.parametrize(("call", "sent"), [("read", 0), ("replace", 0), ("unlink", 1)])
def test_a_disk_that_fails_while_others_are_sent_raises_nothing(gate, directory, receiver, monkeypatch, call, sent):
    """An entry that can't be read, set aside or deleted stays as it is."""
    made = kept(gate)
    made.leave()
    if call == "replace":
        spoil(directory, uuid="gone")
    failed = []

    def fail(*_, **__):
        failed.append(call)
        raise OSError(errno.EIO, "made to fail")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        send_waiting(gate, made.name)

    assert (failed, len(receiver.received), names(directory)) == ([call], sent, [made.name])


def test_two_wires_to_one_url_are_two_destinations():
    """An entry for one of them is not sent to the other."""
    keys = {Destination("project", "https://s/x", wire, by_operator=False).key for wire in ("otlp", "json")}

    assert keys == {"project otlp https://s/x", "project json https://s/x"}
