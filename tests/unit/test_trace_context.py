"""Trace contexts are read and written as W3C and X-Ray do; work belongs to one trace or none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.propagators.aws import AwsXRayPropagator
from opentelemetry.trace import get_current_span

from domain.tracing import MAX_LINKS, TraceContext, lineage

HEX = "0123456789abcdef"
A = TraceContext("a" * 32, "b" * 16, is_sampled=True)
OTHER = TraceContext("c" * 32, "d" * 16, is_sampled=True)
UNSAMPLED = TraceContext("e" * 32, "f" * 16, is_sampled=False)

contexts = st.builds(
    TraceContext,
    st.text(HEX, min_size=32, max_size=32).filter(lambda text: text.strip("0")),
    st.text(HEX, min_size=16, max_size=16).filter(lambda text: text.strip("0")),
    st.booleans(),
)


@given(contexts)
def test_what_is_written_is_read_again(context: TraceContext) -> None:
    assert TraceContext.parse(str(context)) == context
    assert TraceContext.parse_xray(context.xray()) == context


@given(contexts)
def test_xrays_header_is_what_its_propagator_says(context: TraceContext) -> None:
    propagator, header = AwsXRayPropagator(), {"X-Amzn-Trace-Id": context.xray()}
    inside = propagator.extract(header)
    found = get_current_span(inside).get_span_context()
    assert (found.trace_id, found.span_id) == (int(context.trace_id, 16), int(context.span_id, 16))
    assert found.trace_flags.sampled == context.is_sampled
    written: dict[str, str] = {}
    propagator.inject(written, inside)
    assert written == header


@given(st.text(max_size=80) | st.none())
def test_whatever_comes_is_read_or_is_none(text: str | None) -> None:
    found = TraceContext.parse(text)
    assert found is None or str(found)[:52] == (text or "")[:52]
    if text is not None:
        TraceContext.parse_xray(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00-nonsense",
        f"01-{'a' * 32}-{'b' * 16}-01",
        f"00-{'A' * 32}-{'b' * 16}-01",
        f"00-{'0' * 32}-{'b' * 16}-01",
        f"00-{'a' * 32}-{'0' * 16}-01",
        f"00-{'a' * 32}-{'b' * 16}-01\n",
        f"00-{'a' * 32}-{'b' * 16}-01-more",
    ],
)
def test_what_is_no_context_is_none(text: str) -> None:
    assert TraceContext.parse(text) is None


def test_only_the_flag_of_sampling_is_looked_at() -> None:
    assert TraceContext.parse(str(A)[:-2] + "03") == A
    found = TraceContext.parse(str(A)[:-2] + "02")
    assert found is not None
    assert not found.is_sampled


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"Root=1-{'a' * 8}-{'a' * 24}",
        f"Root=1-{'a' * 8}-{'a' * 24};Parent={'b' * 16}",
        f"Root=1-{'a' * 8}-{'a' * 24};Parent={'b' * 16};Sampled=?",
        f"Root=2-{'a' * 8}-{'a' * 24};Parent={'b' * 16};Sampled=1",
        f"Self=1-{'a' * 8}-{'a' * 24};Parent={'b' * 16};Sampled=1",
        f"Root=1-{'0' * 8}-{'0' * 24};Parent={'b' * 16};Sampled=1",
    ],
)
def test_a_header_of_xray_that_leaves_something_open_is_none(header: str) -> None:
    assert TraceContext.parse_xray(header) is None


def test_of_xrays_header_the_order_and_further_fields_do_not_matter() -> None:
    fields = A.xray().split(";")
    assert TraceContext.parse_xray("; ".join([*reversed(fields), "Lineage=x:1|y:2"])) == A


def test_what_is_done_for_one_trace_belongs_to_it() -> None:
    found = lineage([str(A), str(A)])
    assert found is not None
    assert (found.parent, found.links) == (A, [A])


@pytest.mark.parametrize("others", [[str(OTHER)], [None], [str(UNSAMPLED)], ["nonsense"]])
def test_what_is_done_for_several_is_linked_to_those_that_are_kept(others: list[str]) -> None:
    found = lineage([str(A), *others])
    assert found is not None
    assert found.parent is None
    assert found.links == [A, OTHER] if others == [str(OTHER)] else [A]


@pytest.mark.parametrize("texts", [[], [None], [str(UNSAMPLED)], ["nonsense", None]])
def test_what_is_done_for_none_that_is_kept_belongs_nowhere(texts: list[str | None]) -> None:
    assert lineage(texts) is None


def test_links_are_bounded() -> None:
    many = [str(TraceContext(f"{n + 1:032x}", "b" * 16, is_sampled=True)) for n in range(100)]
    found = lineage(many)
    assert found is not None
    assert len(found.links) == MAX_LINKS
