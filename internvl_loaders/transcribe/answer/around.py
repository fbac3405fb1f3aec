"""What a model writes around a page, told from the page's own words: thoughts, chatter, special tokens."""

from __future__ import annotations

import re

from internvl_loaders.transcribe.answer.chatter import closing, opening, says_nothing

_THINKS = re.compile(r"(?:\A|(?<=\n))[ \t]*<(?P<tag>think|thinking|thought|reasoning)>", re.IGNORECASE)
_THOUGHT = re.compile(r"</?(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
_THOUGHT_ENDS = re.compile(r"</(?:think|thinking|thought|reasoning)>[ \t]*(?=\n|\Z)", re.IGNORECASE)
_TOKEN = (
    r"<\|(?:im_start|im_end|endoftext|end|eot_id|end_of_text|start_of_text|eos|bos|pad|assistant|user|system"
    r"|vision_start|vision_end|image_pad|begin_of_text)\|>|</?s>|<(?:pad|eos|bos|unk|IMG_CONTEXT|image)>|</?img>"
)
_ROLE = r"(?:(?<=<\|im_start\|>)[ \t]*assistant\b)?"
_LEADING = re.compile(rf"(?:\s|(?:{_TOKEN}){_ROLE})+")
_TRAILING = re.compile(rf"(?:\s|(?:{_TOKEN}){_ROLE})+\Z")
_LONGEST_TAIL = 2000
"""Characters of special tokens at an end."""
_ENDS_LINE = re.compile(r"(?<!`)<\|(?:im_end|endoftext|eot_id|end_of_text)\|>[ \t]*(?=\n)")
_TALKS_OF_TOKENS = re.compile(r"<\|im_start\|>[ \t]*(?:system|user)|`<\|")
_WRAPPER = re.compile(
    r"<(?P<tag>answer|transcription|output|response|final_answer|markdown|ocr|result)>"
    r"(?P<inner>.*?)(?:</(?P=tag)>\s*)?\Z",
    re.IGNORECASE | re.DOTALL,
)
_FENCE = re.compile(r"[ \t]*(?:`{3,}|~{3,})")
INVENTED = re.compile(
    r"!\[\]\((?:https?://|data:)[^()\s]*\)"
    r"|<img\s(?![^<>]*\balt\s*=\s*[\"']?\w)[^<>]*\bsrc\s*=\s*[\"']?(?:https?:|data:)[^<>]*>",
    re.IGNORECASE,
)
"""Pictures that say nothing but an address, which no page has."""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_COUNTED = re.compile(r"(?:\b(?:page|image|seite)\s*|第\s*)\d+(?:\s*(?:of|/|von)\s*\d+)?", re.IGNORECASE)
"""Numbers that a model gives a page, not the page."""
_PARTS = 4
"""Thoughts, and paragraphs of chatter at one end."""
_TABULAR = re.compile(r"[ \t]*\||.*(?:</table>|\\end\{\w+\*?\})[ \t]*\Z", re.IGNORECASE)
_SALUTATION = re.compile(
    r"^\W*(?:dear|hi|hello|sehr geehrte|liebe|cher|chère|estimad|尊敬的|亲爱的)", re.I | re.MULTILINE
)
_STRUCTURED = re.compile(
    r"[ \t]*(?:\||<table\b|</table>|[-*+] |\\end\{|#{1,6} )|.*</table>[ \t]*\Z", re.IGNORECASE
)


def own_words(answer: str) -> tuple[str, list[str]]:
    """The page's words, and what was left out, in sentences.

    Nothing is taken from within them. A number that stands nowhere else keeps the sentence that it is in.
    """
    text = "\n".join(answer.splitlines())
    notes: list[str] = []
    text = _without_tokens(text, notes)
    said: list[str] = []
    chatty = False
    for _ in range(_PARTS):
        before = text
        text, thought = _without_thought(text)
        if thought:
            chatty = True
            notes.append(_thought_note(thought, text))
        text = _unwrapped(text)
        text, first = _without_opening(text)
        said += first
        if text == before:
            break
    text, last = _without_closing(text, chatty or bool(said))
    said += last
    if text.strip() and all(says_nothing(line) for line in text.split("\n") if line.strip()):
        said.append(text.strip())
        text = ""
    if said:
        quoted = " / ".join(" ".join(part.split()) for part in said)
        notes.append(f"what the model said around the page was left out ({quoted[:300]!r})")
    return text, notes


def _without_tokens(text: str, notes: list[str]) -> str:
    if "<" not in text or _TALKS_OF_TOKENS.search(text):
        return text
    start, end = 0, len(text)
    if found := _LEADING.match(text, 0, _LONGEST_TAIL):
        start = found.end()
    if found := _TRAILING.search(text, max(start, end - _LONGEST_TAIL)):
        end = found.start()
    tokens = re.findall(_TOKEN, text[:start] + text[end:])
    if "</s>" in tokens and "<s>" in text:  # struck through
        return text
    middle, count = _ENDS_LINE.subn("", text[start:end])
    if count:
        tokens.append("<|im_end|>")
    if not tokens:
        return text
    notes.append(f"special tokens were left out ({', '.join(dict.fromkeys(tokens))[:100]})")
    return middle


def _without_thought(text: str) -> tuple[str, str]:
    """Without thoughts at the beginning, and those that stand in lines of their own after one. What is open
    goes on to the end."""
    first = _THOUGHT.search(text)
    if first is None:
        return text, ""
    if first[0].startswith("</"):  # the opening tag stands in the prompt
        ends = _THOUGHT_ENDS.match(text, first.start())
        if ends is None or text.count("```", 0, first.start()) % 2:
            return text, ""
        return text[ends.end() :], text[: first.start()]
    if text[: first.start()].strip():
        return text, ""
    kept, thoughts, at = "", [], 0
    while begins := _THINKS.search(text, at):
        if kept.count("```") % 2:
            break
        closes = f"</{begins['tag']}>"
        end = text.find(closes, begins.end())
        kept += text[at : begins.start()]
        thoughts.append(text[begins.end() : end if end >= 0 else len(text)])
        at = end + len(closes) if end >= 0 else len(text)
    return kept + text[at:], "\n".join(thoughts)


def _thought_note(thought: str, rest: str) -> str:
    what = f"the model's thoughts were left out ({len(thought):,} characters)"
    return what if rest.strip() else f"{what}; it came to no answer"


def _unwrapped(text: str) -> str:
    stripped = text.strip()
    found = _WRAPPER.match(stripped) if stripped.startswith("<") else None
    return found["inner"] if found else text


def _without_opening(text: str) -> tuple[str, list[str]]:
    lines = text.strip("\n").split("\n", 2 * _PARTS)
    said: list[str] = []
    sure = False
    kept = 0
    for place, line in enumerate(lines[:-1]):
        if not line.strip():
            continue
        certainty = "likely" if INVENTED.fullmatch(line.strip()) else opening(line)
        heading = line.lstrip().startswith("#")
        if certainty is None or (_STRUCTURED.match(line) and not heading):
            break
        if certainty == "likely" and (sure or heading):  # a page begins so, after what is sure
            break
        said.append(line)
        sure = sure or certainty == "sure"
        kept = place + 1
    rest = "\n".join(lines[kept:])
    if not said or not rest.strip():
        return text, []
    if not (sure or _FENCE.match(rest.lstrip("\n"))) or _has_numbers_of_its_own(said, rest):
        return text, []
    return rest, said


def _without_closing(text: str, chatty: bool) -> tuple[str, list[str]]:
    said: list[str] = []
    rest = text.rstrip()
    for _ in range(_PARTS):
        head, _, line = rest.rpartition("\n")
        before = head.rstrip()
        certainty = closing(line)
        last = before.rpartition("\n")[2]
        structured = bool(_STRUCTURED.match(last) or _FENCE.match(last))
        if certainty is None or not before or (head == before and not structured):
            break
        offered = bool(_TABULAR.match(last)) and _offers(line) and not _SALUTATION.search(text)
        if certainty == "likely" and not (chatty or said or _FENCE.match(last) or offered):
            break
        if _has_numbers_of_its_own([line], before):
            break
        said.insert(0, line)
        rest = before
    return (rest, said) if said else (text, [])


def _offers(line: str) -> bool:
    """In the first person, as a model does and no firm."""
    return bool(re.search(r"\b(?:me|i|i'm)\b|我", line, re.IGNORECASE))


def _has_numbers_of_its_own(said: list[str], rest: str) -> bool:
    numbers = _NUMBER.findall(_COUNTED.sub("", INVENTED.sub("", "\n".join(said))))
    return bool(numbers) and not set(numbers) <= set(_NUMBER.findall(rest))
