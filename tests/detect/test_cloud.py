"""The firmware names its maker, and so the cloud provider."""

import socket

import pytest

from otel_usage.detect import cloud


@pytest.mark.parametrize(
    ("files", "environ", "provider"),
    [
        ({"sys_vendor": "Amazon EC2\n"}, {}, "AWS"),
        ({"bios_vendor": "Amazon EC2"}, {}, "AWS"),
        ({"sys_vendor": "Microsoft Corporation"}, {}, "AZURE"),
        ({"product_name": "Google Compute Engine"}, {}, "GCP"),
        ({"chassis_asset_tag": "OracleCloud.com"}, {}, "OCI"),
        ({"product_version": "4.11.amazon", "sys_vendor": "Google"}, {}, "AWS"),
        ({"sys_vendor": "Dell Inc.", "product_name": "SERIAL-4711"}, {}, "UNKNOWN"),
        ({"sys_vendor": "Dell Inc."}, {"RUNPOD_DC_ID": "EU-1"}, "RUNPOD"),
        ({"sys_vendor": "Amazon EC2"}, {"RUNPOD_DC_ID": "EU-1"}, "AWS"),
        ({}, {"RUNPOD_DC_ID": ""}, "UNKNOWN"),
        ({}, {}, "UNKNOWN"),
    ],
)
def test_the_provider_is_one_of_six_words(tmp_path, files, environ, provider):
    """The firmware's own words, which may hold serial numbers, go no further."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    assert list(cloud.detect(str(tmp_path), environ)) == [("provider", provider)]


def test_a_file_that_can_not_be_read_says_nothing(tmp_path):
    """After a directory, or bytes that are no text, the next file is read."""
    (tmp_path / "product_version").mkdir()
    (tmp_path / "bios_vendor").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "sys_vendor").write_text("Google")

    assert cloud.provider(str(tmp_path), {}) == "GCP"


def test_the_network_is_never_asked(monkeypatch):
    """Neither a metadata server nor a name look-up is used."""
    for call in ("socket", "getaddrinfo", "gethostbyname", "create_connection"):
        monkeypatch.setattr(socket, call, lambda *_, **__: pytest.fail("the network was asked"))

    assert dict(cloud.detect())["provider"] in {"AWS", "AZURE", "GCP", "OCI", "RUNPOD", "UNKNOWN"}
