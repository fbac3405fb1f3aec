"""What a reader should doubt in an answer; all of it stays."""

from __future__ import annotations

import pytest

from internvl_loaders.transcribe.answer.blocks import read_answer

TABLE = "| Date | Deposit |\n|---|---|\n| 06/05/2025 | $3497.47 |\n\n"


def notes(answer: str) -> str:
    return "; ".join(read_answer(answer).notes)


@pytest.mark.parametrize(
    "said",
    [
        "### Summary of Transactions:\n- **Direct Credit (Salary):** $33497.47 (06/05/2025)",
        "Summary:\n\nThe deposit on 06/05/2025 was $33497.47.",
        "**Key takeaways**\n\n1. $33497.47 came in on 06/05/2025.",
        "In summary, $33497.47 came in on 06/05/2025.",
        "## 总结\n\n06/05/2025 存入 $33497.47。",
        "### Observations\n\nOn 06/05/2025 there was one deposit of $33497.47.",
    ],
)
def test_a_summary_after_a_table_that_repeats_it_stays_and_is_told(said: str) -> None:
    found = read_answer(TABLE + said)
    assert "may be the model's own" in found.notes[0]
    assert "33497.47 stand only there" in found.notes[0]
    assert "33497.47" in found.blocks[-1].text


def test_a_summary_of_other_things_is_the_pages() -> None:
    assert not notes(TABLE + "### Summary of your points\n\nYou have 1,204 points.")
    assert not notes("## Summary\n\n- $33497.47\n\n" + TABLE)
    assert not notes(TABLE + "Thank you for 06/05/2025.")


@pytest.mark.parametrize(
    "copied",
    ["[REDACTED]", "[REF]", "NOT_FOUND", "[x1, y1, x2, y2]", "{{ name }}", "[NAME]", "<insert date>"],
)
def test_placeholders_stay_and_are_told(copied: str) -> None:
    found = read_answer(f"Payment to {copied} of 5.00")
    assert copied in found.blocks[0].text
    assert f"{copied}: placeholders" in found.notes[0]


def test_keys_and_values() -> None:
    answer = (
        "DOCUMENT_TYPE: RECEIPT\nSUPPLIER: Example Shop\nTOTAL: $46.68\nTOTAL: $46.68\nPRICES: $3.20 | $3.80"
    )
    found = read_answer(answer)
    assert "keys the page may not have; TOTAL: stand there more than once" in found.notes[0]
    assert "\n".join(block.text for block in found.blocks) == answer
    assert not notes("TOTAL: 5.00\nTAX: 0.50\nDATE: 1 May")


def test_what_was_not_read_or_left_out() -> None:
    assert "2 places could not be read" in notes("To [illegible] of [illegible]")
    assert "left something of the page out" in notes(TABLE + "(remaining rows omitted for brevity)")
    assert "left something of the page out" in notes(TABLE + "其余部分省略")


def test_a_sound_page_has_no_notes() -> None:
    assert not notes(f"# Statement\n\nDear Ann,\n\n{TABLE}[ ] yes [x] no\n\n[1] See page 5.")
