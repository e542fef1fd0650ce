"""Stock Celery on stock kombu with the settings that make it as safe as they can.

One task for each event, as in the benchmarks; its effect is a mark in a sink that counts.
"""

import os

from bench.baselines import stock_events

APP = stock_events.app
APP.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_acks_on_failure_or_timeout=False,
    worker_eta_task_limit=100,
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
)
APP.conf.broker_transport_options.update(
    {
        "wait_time_seconds": 5,
        "polling_interval": 0,
        "sqs_base64_encoding": False,
        "visibility_timeout": int(os.environ["FAULTS_VISIBILITY"]),
        "client-config": {
            "connect_timeout": 2,
            "read_timeout": 10,
            "retries": {"mode": "standard", "total_max_attempts": 4},
            "tcp_keepalive": True,
        },
    }
)
