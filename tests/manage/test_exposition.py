"""The families of a scrape, read back with the library's own parser."""

from __future__ import annotations

from fakes_manage import Admin
from prometheus_client.parser import text_string_to_metric_families

from omniroute.gateway.breakers import Breaker
from omniroute.gateway.metrics import MODELS
from omniroute.gateway.usage import CallRecord
from omniroute.manage.exposition import SLICE, text


def samples(admin: Admin) -> dict[tuple[str, ...], float]:
    """(name, label values …) -> value."""
    families = text_string_to_metric_families(admin.run(text(admin.services)).decode())
    order = ("provider", "model", "status", "kind", "queue", "le")
    return {
        (one.name, *(one.labels[name] for name in order if name in one.labels)): one.value
        for family in families
        for one in family.samples
    }


def a_call(status: int, milliseconds: float) -> CallRecord:
    return CallRecord(
        "r", 0.0, "POST", "/v1/chat/completions", status, "openai", "gpt-4o", "gpt-4o", "c", "main", "", "", "openai-chat",
        "openai-chat", False, milliseconds, milliseconds / 2, tokens_in=7, tokens_out=9, cost=0.25,
    )  # fmt: skip


def test_calls_are_summed_by_provider_and_model(admin: Admin) -> None:
    for status, milliseconds in ((200, 80.0), (200, 300.0), (429, 20.0)):
        admin.services.metrics.put(a_call(status, milliseconds))
    found = samples(admin)
    label = ("openai", "gpt-4o")
    assert found["omniroute_requests_total", *label, "200"] == 2
    assert found["omniroute_requests_total", *label, "429"] == 1
    assert found["omniroute_errors_total", *label] == 1
    assert found["omniroute_tokens_total", *label, "output"] == 27
    assert found["omniroute_cost_usd_total", *label] == 0.75
    assert found["omniroute_request_duration_seconds_count", *label] == 3
    assert found["omniroute_request_duration_seconds_sum", *label] == 0.4
    assert found["omniroute_request_duration_seconds_bucket", *label, "0.1"] == 2
    assert found["omniroute_request_duration_seconds_bucket", *label, "+Inf"] == 3
    assert found["omniroute_first_token_seconds_sum", *label] == 0.2


def test_gauges_show_the_current_state(admin: Admin) -> None:
    made = admin.connection()
    admin.live.begin(("openai", "gpt-4o", made["id"]))
    admin.fail(made["id"])
    found = samples(admin)
    assert found["omniroute_in_flight", "openai", "gpt-4o"] == 1
    assert found["omniroute_accounts_cooling",] == 1
    assert found["omniroute_breaker_state", "openai"] == 0
    admin.live.breakers.restore("openai", Breaker("OPEN", 5, admin.clock.time()))
    assert samples(admin)["omniroute_breaker_state", "openai"] == 2
    assert found["omniroute_calls_waiting", "openai"] == 0
    assert found["omniroute_log_rows_queued",] == 0
    assert found["omniroute_log_rows_dropped_total",] == 0
    assert found["process_resident_memory_bytes",] > 1_000_000
    assert found["process_start_time_seconds",] == admin.services.started_at


def test_a_model_that_nobody_has_counted_yet_is_bounded_too(admin: Admin) -> None:
    for number in range(200):
        admin.live.begin(("openai", f"m{number}", "c"))
    admin.services.metrics.put(a_call(200, 1.0))
    names = {key[2] for key in samples(admin) if key[0] == "omniroute_in_flight"}
    assert len(names) == MODELS  # and one of them is counted only


def test_a_family_is_whole_however_many_series_there_are(admin: Admin) -> None:
    for number in range(3 * SLICE + 1):
        admin.services.metrics.put(a_call(200, 80.0))
        admin.live.begin(("openai", f"m{number}", "c"))
    samples(admin)  # now each of them has a series
    written = admin.run(text(admin.services)).decode()
    assert written.count("# TYPE omniroute_requests_total counter\n") == 1
    assert written.count("# HELP omniroute_request_duration_seconds ") == 1
    lines = [line.partition("{")[0] for line in written.splitlines() if not line.startswith("#") and "{" in line]
    names = [name for name, before in zip(lines, ["", *lines], strict=False) if name != before]
    assert names.count("omniroute_errors_total") == 1
    assert sum(name == "omniroute_errors_total" for name in lines) == 3 * SLICE + 2
