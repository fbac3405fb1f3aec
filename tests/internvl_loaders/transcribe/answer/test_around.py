"""What a model says around a page, and what a page says itself."""

from __future__ import annotations

import pytest

from internvl_loaders.transcribe.answer.around import own_words
from internvl_loaders.transcribe.answer.blocks import blocks, read_answer

PAGE = "# Statement\n\n| Date | Fee |\n|---|---|\n| 07/09/2025 | $322.18 |\n\nBalance 10.00"
TABLE = "| Date | Fee |\n|---|---|\n| 07/09/2025 | $322.18 |"

OPENINGS = [
    "Here is the extracted transaction data from the bank statement:",
    "Here's the transcription of the page:",
    "Sure! Here is the transcription of the page:",
    "Certainly! Below is the text from the image in Markdown format:",
    "The following is the text content extracted from the document image:",
    "Below is the transcribed text:",
    "The image contains the following text:",
    "The text in the image is as follows:",
    "Based on the provided image, here is the extracted information:",
    "I have transcribed the page as requested:",
    "I've converted the document into Markdown:",
    "**Extracted text:**",
    "### Transcribed Text",
    "OCR result:",
    "Transcription of the page:",
    "Of course. Here is the page transcribed into Markdown:",
    "Here is the Markdown version of the document:",
    "Here is the transcription of page 3:",
    "Here is the text:",
    "I'll transcribe the page for you.",
    "The provided image is a bank statement. Below is the extracted table:",
    "The document appears to be an invoice. Here's a transcription of its contents:",
    "Based on the image, the text is as follows:",
    "图片显示了一张账单。内容如下：",
    "Here's the full content of the document:",
    "The image shows a receipt of Example Shop. Here is what it says:",
    "以下是文字内容：",
    "以下是图片中的文字内容：",
    "以下为该页面的转录内容：",
    "好的，以下是图片中识别到的文字：",
    "这是图片中的文字：",
    "图片中的文字内容如下：",
    "根据您提供的图片，提取的内容如下：",
    "识别结果如下：",
    "以下是圖片中的文字內容：",
    "Hier ist die Transkription der Seite:",
    "Voici la transcription de la page :",
    "Aquí está la transcripción de la página:",
    "以下は画像のテキストです：",
]
CLOSINGS = [
    "This HTML code represents the table in the image.",
    "This is the complete transcription of the page.",
    "Note: Some parts of the transcription may be inaccurate due to handwriting.",
    "Please note that the image resolution limits the accuracy.",
    "Let me know if you would like the table in another format!",
    "[End of transcription]",
    "The above is the full text extracted from the image.",
    "No signature is visible in the image.",
    "No explicit fees are listed in the document provided within this image resolution context.",
    "以上是图片中的全部文字内容。",
    "请注意，图片部分文字模糊，识别可能有误。",
]
LIKELY_CLOSINGS = [
    "Let me know if you need anything else!",
    "I hope this helps!",
    "Is there anything else you would like to know?",
    "If you need further assistance, feel free to ask.",
    "如果您还需要其他帮助，请告诉我。",
    "希望这对您有帮助！",
]
OF_PAGES = [
    "Here is the information you requested:",
    "Here is the summary of your account:",
    "Below is a list of your transactions:",
    "The following table shows the fees of this year:",
    "Here is the transcript of the hearing of 4 May:",
    "Below is a transcription of the recorded interview:",
    "This is to certify that the following is a true and exact transcription of the document:",
    "Sure Foot Ltd.",
    "Okay",
    "Transcription",
    "The image of the company has changed.",
    "Here is the amount converted into USD:",
    "以下是本月账单：",
    "这是您的订单：",
    "Voici votre facture :",
    "Here is the text of the law in the new version:",
    "Below is the content of each package:",
    "Please note that the image may differ from the product.",
]


@pytest.mark.parametrize("said", OPENINGS)
@pytest.mark.parametrize("apart", ["\n\n", "\n"])
def test_what_a_model_says_first_is_left_out_and_told(said: str, apart: str) -> None:
    found = read_answer(f"{said}{apart}{PAGE}")
    assert found.blocks == read_answer(PAGE).blocks
    assert said.split("：")[0].strip("*# ")[:20] in " ".join(found.notes)


@pytest.mark.parametrize("said", CLOSINGS)
def test_what_a_model_says_last_is_left_out_and_told(said: str) -> None:
    found = read_answer(f"{PAGE}\n\n{said}")
    assert found.blocks == read_answer(PAGE).blocks
    assert said[:20] in " ".join(found.notes)


@pytest.mark.parametrize("said", LIKELY_CLOSINGS)
def test_what_may_be_a_letters_own_is_the_models_beside_other_signs(said: str) -> None:
    def kept(answer: str) -> bool:
        return said in "\n".join(block.text for block in blocks(answer))

    assert not kept(f"```markdown\n{PAGE}\n```\n\n{said}")
    assert not kept(f"Here is the transcription:\n\n{PAGE}\n\n{said}")
    assert kept(f"Dear Ann,\n\nthe pump has arrived.\n\n{said}")
    assert kept(f"{said}\n\n{PAGE}")
    assert kept(f"Here is the transcription:\n\nDear Ann,\n\n{said}\n\nYours, Bob")


def test_an_offer_in_the_first_person_after_a_table_is_the_models() -> None:
    assert read_answer(f"{TABLE}\n\nLet me know if you need anything else!").blocks == tuple(blocks(TABLE))
    firm = "Please contact us if you have any questions."
    assert blocks(f"{TABLE}\n\n{firm}")[-1].text == firm
    letter = "Dear Bob,\n\nhere are the fees:\n\n{}\n\nPlease let me know if you have questions."
    for inner in (TABLE, "- one\n- two"):
        assert blocks(letter.format(inner))[-1].text.startswith("Please let me know")


@pytest.mark.parametrize("own", OF_PAGES)
def test_what_a_page_says_itself_stays(own: str) -> None:
    for answer in (
        f"{own}\n\n{PAGE}",
        f"{own}\n{TABLE}",
        own,
        f"# Bank\n\n{own}\n\n{TABLE}",
        f"{PAGE}\n\n{own}",
    ):
        text, notes = own_words(answer)
        assert own in text
        assert not notes


@pytest.mark.parametrize("said", [*OPENINGS, *CLOSINGS])
def test_within_a_page_it_is_the_pages(said: str) -> None:
    answer = f"# Prompts\n\n{said}\n\nThen the page."
    assert own_words(answer) == (answer, [])


def test_likely_openings_are_the_models_before_a_fence() -> None:
    for said in ("Sure!", "Here it is:", "Here is the invoice:", "好的：", "以下是账单："):
        assert read_answer(f"{said}\n\n```markdown\n{PAGE}\n```").blocks == tuple(blocks(PAGE))


def test_what_follows_it_is_the_pages_though_a_model_might_say_it() -> None:
    for own in ("## Results", "Result: 5", "Thank you", "The document is void."):
        assert (
            own_words(f"Here is the transcription of the page:\n\n{own}\n\nWords.")[0].strip().startswith(own)
        )


def test_a_number_that_stands_nowhere_else_is_not_left_out() -> None:
    said = "Here is the extracted data from the statement of account 4711:"
    assert said in own_words(f"{said}\n\n{PAGE}")[0]
    assert said not in own_words(f"{said}\n\n{PAGE}\n\nAccount 4711")[0]


@pytest.mark.parametrize(
    "answer",
    [
        "<think>\nDate and Debit.\n</think>\n\n{}",
        "<think>one</think>\n<think>two\n\ntwo</think>\n{}",
        "Okay, a table.\n</think>\n\n{}",
        "<think>\n</think>\n\n{}",
        "<thinking>hm</thinking>\n\n{}",
        "<think>a</think>\n\nHere is the transcription:\n\n{}",
        "<think>a</think>\n\n```markdown\n{}\n```",
        "<think>a</think>\n<answer>\n{}\n</answer>",
        "{}\n<|im_end|>",
        "{}<|im_end|>\n<|im_start|>assistant\n",
        "<|im_start|>assistant\n{}<|endoftext|><|endoftext|>",
        "{}</s>",
        "<image>\n{}",
        "![](https://i.imgur.com/AbCdEf1.png)\n\n{}",
        "![](data:image/png;base64,iVBORw0KGgoAAAANSUhEUg==)\n\n{}",
        '<img src="https://example.com/logo.png">\n\n{}',
    ],
)
def test_thoughts_tokens_and_invented_pictures_are_left_out_and_told(answer: str) -> None:
    found = read_answer(answer.format(PAGE))
    assert found.blocks == read_answer(PAGE).blocks
    assert found.notes or "<think>\n</think>" in answer


def test_thoughts_that_are_cut_off_are_no_page() -> None:
    found = read_answer("<think>\nOkay, the columns are:\n- Date\n- Debits\n")
    assert found.blocks == ()
    assert "came to no answer" in found.notes[0]


@pytest.mark.parametrize(
    "page",
    [
        "The model writes <think> and </think> around its thoughts.",
        "# Prompt\n\n<think>\nLet x be 3.\n</think>",
        "```\n<think>\nx\n</think>\n```",
        "Every turn ends with `<|im_end|>` and begins anew.",
        "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\nHi<|im_end|>",
        "It was <s>cheap</s>",
    ],
)
def test_pages_about_models_keep_their_words(page: str) -> None:
    assert own_words(page) == (page, [])


@pytest.mark.parametrize(
    "answer",
    [
        "The image is blank.",
        "There is no text visible in the image.",
        "I'm sorry, but I cannot transcribe this image.",
        "[blank page]",
        "图片中没有文字。",
        "很抱歉，我无法识别这张图片。",
    ],
)
def test_an_answer_that_reads_nothing_is_no_page(answer: str) -> None:
    found = read_answer(answer)
    assert found.blocks == ()
    assert answer in found.notes[0]


def test_a_page_that_is_left_blank_says_so() -> None:
    assert [b.text for b in blocks("This page intentionally left blank")] == [
        "This page intentionally left blank"
    ]
