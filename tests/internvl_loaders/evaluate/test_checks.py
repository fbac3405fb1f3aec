from typing import Any

import pytest

from internvl_loaders.evaluate.checks import holds
from internvl_loaders.evaluate.tables import read_tables

TEXT = "Corporate responsibility: hope or hype?\nFirst came the idea. Then came the “doubt”. First again."
TABLES = read_tables(
    "<table><tr><td></td><td colspan=2>Year Ended</td></tr>"
    "<tr><td>Research</td><td>1,892</td><td>2,532</td></tr><tr><td>Other</td><td>680</td><td>1,136</td></tr></table>"
)


@pytest.mark.parametrize(
    ("check", "passes"),
    [
        ({"type": "present", "text": "hope or hype? First"}, True),
        ({"type": "present", "text": 'the "doubt"'}, True),
        ({"type": "present", "text": "HOPE"}, False),
        ({"type": "present", "text": "HOPE", "case_sensitive": False}, True),
        ({"type": "present", "text": "Corporate responsability"}, False),
        ({"type": "present", "text": "Corporate responsability", "max_diffs": 1}, True),
        ({"type": "present", "text": "again", "first_n": 20}, False),
        ({"type": "present", "text": "again", "last_n": 20}, True),
        ({"type": "present", "text": TEXT * 2, "max_diffs": 3}, False),
        ({"type": "absent", "text": "Downloaded from"}, True),
        ({"type": "absent", "text": "came"}, False),
        ({"type": "order", "before": "hope", "after": "doubt"}, True),
        ({"type": "order", "before": "doubt", "after": "hope"}, False),
        ({"type": "order", "before": "doubt", "after": "First"}, True),  # its second place
        ({"type": "order", "before": "hope", "after": "missing"}, False),
        ({"type": "order", "before": "responsability", "after": "dubt", "max_diffs": 1}, True),
        ({"type": "table", "cell": "1,136", "top_heading": "Year Ended"}, True),
        ({"type": "table", "cell": "680", "up": "1,892"}, True),
        ({"type": "table", "cell": "680", "up": "2,532"}, False),
        ({"type": "table", "cell": "680", "down": "x"}, False),
        ({"type": "table", "cell": "680", "left": "Other", "right": "1,136"}, True),
        ({"type": "table", "cell": "2,532", "left_heading": "Research"}, True),
        ({"type": "table", "cell": "2,532", "left_heading": "Other"}, False),
        ({"type": "table", "cell": "Year Endet", "max_diffs": 1}, True),
        ({"type": "table", "cell": "nowhere"}, False),
    ],
)
def test_holds(check: dict[str, Any], passes: bool) -> None:
    assert holds(check, TEXT, TABLES) is passes


def test_nothing_read() -> None:
    assert not holds({"type": "present", "text": "a b"}, "", [])
    assert holds({"type": "absent", "text": "a b"}, "", [])
    assert not holds({"type": "table", "cell": "a"}, "", [])
