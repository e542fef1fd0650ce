"""The small server of a process that has no other: its metrics and its health."""

import httpx

from adapters.prometheus_metrics import Metrics


def test_metrics_and_health_are_served() -> None:
    metrics, is_healthy = Metrics(), [True]
    metrics.set("outbox_depth", 3)
    server = metrics.serve_http("127.0.0.1", 0, lambda: is_healthy[0])
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client:
            shown = client.get("/metrics")
            assert "mangaassist_outbox_depth 3.0" in shown.text.splitlines()
            assert shown.headers["content-type"].startswith("text/plain; version=0.0.4")
            assert client.get("/healthz").status_code == 200
            is_healthy[0] = False
            assert client.get("/healthz").status_code == 503
            assert client.get("/elsewhere").status_code == 404
            assert client.post("/metrics").status_code == 501
    finally:
        server.stop()
