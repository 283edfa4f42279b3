"""Templates are filled so that YAML reads back what was put in."""

from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st

from otel_usage.collector.template import filled, quoted

WORDS = st.text(alphabet=st.sampled_from('abc |"\'\\:#$-{}[],'), min_size=1, max_size=900).map(str.strip).filter(bool)


@given(WORDS)
def test_quoted_text_reads_back_as_it_was(text):
    """Quoted or not, on one line or on several."""
    assert yaml.safe_load(f"key:\n  - {quoted(text)}\n") == {"key": [text]}


def test_place_gives_its_indentation_to_what_stands_there():
    """A list is items below each other, a text stays as it is, a word stands within a line."""
    template = "a:\n  {{ items }}\nb:\n    {{ text }}\nc: [{{ word }}]\n"

    assert filled(template, {"items": ["x", "y: z"], "text": "k: 1\nl: 2\n", "word": "w"}) == (
        "a:\n  - x\n  - 'y: z'\nb:\n    k: 1\n    l: 2\nc: [w]\n"
    )
