"""Sentences in which a model speaks of its own work, as nobody who prints a page does.

What is sure speaks of the transcription or of the picture; what is likely (`Sure!`, `Let me know if ...`) may
be a letter's own, and is the model's only beside other signs of it.
"""

from __future__ import annotations

import re
from typing import Literal

Certainty = Literal["sure", "likely"]

_LONGEST = 400
"""Characters of a line that is looked at."""
_THING = (
    r"(?:image|picture|photo|photograph|screenshot|scan|page|document|pdf|file|text|content|contents"
    r"|handwriting"
    r"|table|receipt|invoice|statement|letter|form|note|data|information)s?"
)
_SEEN = r"(?:image|picture|photo|photograph|screenshot|scanned (?:page|document|image)|scan)s?"
_TEXT = r"(?:text|content|contents|data|information|details|table|tables|words|transcription|transactions?)"
_GIVEN = r"(?:provided|given|uploaded|attached|supplied|shared|input)"
_WORK = (
    rf"transcrib(?:e|ing) (?:the|this|your) (?:\w+ ){{0,2}}{_THING}"
    rf"|transcription(?! of )|transcription of (?:(?:the|this|your|all|its)\b ?)?(?:[\w-]+ ){{0,4}}{_THING}"
    rf"|transcribed (?:\w+ ){{0,3}}{_THING}|(?:text|content|page|document|image|table) transcribed"
    rf"|extracted (?:[\w-]+ ){{0,3}}(?:{_TEXT}|fields|values|items)|{_TEXT} (?:\w+ ){{0,2}}extracted"
    rf"|recogni[sz]ed (?:text|content|characters)|ocr (?:result|output|text|transcription)s?"
    rf"|(?:converted|formatted|rendered|transcribed) (?:\w+ ){{0,4}}(?:to|into|in|as) (?:markdown|html"
    rf"|latex|text)"
    rf"|(?:markdown|html|latex) (?:version|format|representation|transcription|conversion|code|table|text"
    rf"|output)"
    rf"|{_TEXT} (?:[\w-]+ ){{0,3}}(?:in|on|of|from|within) (?:the|this|your) (?:[\w-]+ ){{0,2}}(?:{_SEEN}"
    rf"|page)"
    rf"|{_GIVEN} (?:[\w-]+ ){{0,2}}{_THING}|(?:image|page|document|picture|photo) you (?:\w+ )?{_GIVEN}"
)
_YES = (
    r"(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|alright|all right|yes|gladly|no problem"
    r"|got it"
    r"|understood|thank you[^.!:]*|thanks[^.!:]*)"
)
_CHINESE_YES = "(?:好的|好|当然(?:可以)?|當然(?:可以)?|没问题|沒問題|可以)"
_HERE = (
    r"(?:here(?:'s| is| are| it is| you go)|below (?:is|are|you)|(?:the )?following (?:is|are)|this is"
    r"|these are"
    r"|i(?:'ve| have| will|'ll)|let me|as requested|please find)"
)
_OPENS = (
    rf"(?:{_YES}[,!.:]* )?(?:(?:based on|from|looking at"
    rf"|after) [^:]{{0,80}}, )?{_HERE}\b[^:]*\b(?:{_WORK})\b.*",
    rf"(?:{_YES}[,!.:]* )?{_HERE} the (?:(?:full|complete|requested|original) )?(?:text|content|contents"
    rf"|markdown)"
    r"(?: (?:in|of|from) the (?:\w+ )?(?:document|pdf|file|receipt|invoice|form|letter|statement))?:?",
    rf"(?:based on|according to) (?:the|this) (?:\w+ )?{_SEEN}\b[^:]*:",
    rf"(?:the )?(?:text|content|contents|words) (?:in|of|on|from) (?:the|this) (?:\w+ )?(?:{_SEEN}|page):?",
    rf"the {_SEEN} (?:shows|contains|displays|reads|says|includes|has) (?:the following |this )?"
    r"(?:text|content|table)\b.*",
    rf"(?:the|all) (?:[\w-]+ ){{0,3}}{_TEXT}(?: \w+){{0,3}} (?:in|on|from|of) the (?:\w+ )?(?:{_SEEN}|page)\b"
    r".*\b(?:as follows|is|are|reads?|following|below)\b.*",
    r"(?:the )?(?:extracted|transcribed|recogni[sz]ed|detected) (?:text|content|table|data|information)"
    r"(?: (?:is|reads|as follows|from the \w+)){0,3}:?",
    r"ocr (?:result|output|text)s?:?|(?:full |complete )?(?:page )?transcription(?: of the \w+)?:"
    r"|markdown(?: \w+)?:",
    rf"(?:{_CHINESE_YES}[，,：:])?(?:以下|下面|下列|这|這)(?:就)?(?:是|为|為).{{0,40}}(?:图片|圖片|图像|圖像|图中|圖中|照片|截图|截圖|扫描"
    rf"|掃描|转录"
    r"|轉錄|转写|轉寫|识别|識別|辨识|提取|页面(?:的|中的|上的)?(?:文字|文本|内容)|OCR|Markdown).{0,60}",
    rf"(?:{_CHINESE_YES}[，,：:])?(?:以下|下面)(?:是|为|為)(?:该|此|本)?(?:文档|文件|文檔)?(?:的)?"
    r"(?:文字|文本|全部|完整)+(?:内容|內容)?[：:]?",
    r"(?:根据|根據|从|從).{0,10}(?:图片|圖片|图像|圖像|照片|截图).{0,40}(?:内容|內容|文字|信息|如下).{0,20}",
    r"(?:该|這張|这张)?(?:图片|圖片|图像|圖像|图中|圖中|照片|页面|頁面)(?:中|上|里|裡)?(?:的)?"
    r"(?:文字|文本|内容|內容|表格|信息)+(?:如下|为|為|是|包括).{0,20}",
    r"(?:识别|識別|转录|轉錄|转写|提取|OCR)(?:到)?(?:的|出的)?(?:结果|結果|内容|內容|文字|文本)+(?:如下|为|為|是)?[：:]?",
    r"我(?:已|已经|將|将|来|会|把)*.{0,12}(?:转录|轉錄|识别|識別|提取|转换).{0,40}",
    r"以下(?:は|が|に).{0,30}(?:画像|ページの|文字起こし|抽出|転記|テキスト).{0,30}",
    r"(?:다음은|아래는).{0,30}(?:이미지|페이지|텍스트|추출|전사).{0,30}",
    r"(?:gerne[,!.]? )?hier (?:ist|sind|findest du|finden sie)\b.*"
    r"(?:transkription|transkribiert|extrahiert|(?:text|inhalt) (?:der seite|des bildes|aus dem bild)).*",
    r"(?:bien sûr[ ,!.]*)?voici\b.*(?:transcription|(?:texte|contenu) (?:extrait|de la page|de l'image)).*",
    r"(?:claro[ ,!.]*)?aqu[ií] (?:está|están|tienes|tiene)\b.*"
    r"(?:transcri[pç]|(?:texto|contenido|conteúdo) (?:extra|de la (?:página|imagen)|da (?:página|imagem))).*",
    r"ecco\b.*(?:trascrizione|(?:testo|contenuto) (?:estratto|della pagina|dell'immagine)).*",
)
_LIKELY_OPENS = (
    rf"{_YES}[,!.]*",
    rf"(?:{_YES}[,!.:]* )?(?:(?:based on|from|looking at|after) [^:]{{0,80}}, )?{_HERE}\b.*",
    rf"the (?:{_SEEN}|page|document|text|content|table) .*(?:following|as follows|reads|contains|shows"
    rf"|below).*",
    r"(?:result|output|answer|final answer|response|transcription|text|content)s?:",
    rf"(?:the|this) (?:{_GIVEN} )?(?:{_SEEN}|page|document)\b.*",
    r"(?:这|这张|該|该|此)?(?:图片|圖片|图像|圖像|照片)(?:显示|顯示|展示|是|为|包含).*",
    r"(?:文字|文本|内容|內容)+如下[：:]?",
    rf"{_CHINESE_YES}[：:]?",
    rf"(?:{_CHINESE_YES}[，,：:])?(?:以下|下面|下列|这|這)(?:是|为|為).{{0,80}}",
    r"(?:voici|ecco|hier (?:ist|sind)|aqu[ií] (?:está|están|tienes))\b.*",
)
_NOT_OURS = re.compile(
    r"\b(?:hearing|meeting|interview|call|conversation|recording|lecture|speech|video|audio|podcast"
    r"|deposition"
    r"|trial|session|proceedings|court|certif\w+|sworn|notar\w+|true and|original (?:manuscript|deed))\b",
    re.IGNORECASE,
)
"""What is transcribed elsewhere than here."""
_CLOSES = (
    rf".*\b(?:{_GIVEN}|source) (?:\w+ )?{_SEEN}\b.*|.*\bimage(?:'s)? (?:resolution|quality)\b.*"
    rf"|.*\bas an ai\b.*",
    rf"(?:no|there (?:is|are|were|was) no) .*\b(?:in|on|within) (?:the|this) {_SEEN}\b.{{0,30}}",
    rf"the {_SEEN} (?:does not|doesn't|do not) (?:contain|show|include|provide|have)\b.*",
    r"(?:\(|\[)?end of (?:the )?(?:transcription|ocr|markdown)\W*",
    r"(?:please )?note(?: that)?[:,]? .*\b(?:transcription|transcribed|ocr|markdown)\b.*",
    r"(?:this|the(?: above)?|above is the|my) (?:is (?:a|the) )?(?:complete |full |faithful |exact |verbatim "
    r"|markdown |html )*(?:transcription|transcribed (?:text|content)|markdown|ocr (?:output|result"
    r"|text))\b.*",
    r"this (?:html|markdown|latex|table|code|text|json)\b.*\b(?:in|of|from) the (?:\w+ )?"
    rf"(?:{_SEEN}|original (?:document|table|page|layout))\b.*",
    rf"(?:the )?above (?:is|are|text|table|content)\b.*\b(?:{_WORK})\b.*",
    rf"i(?:'ve| have| tried| did| could| couldn't| was| can| cannot| can't| am| hope)\b.*\b(?:{_WORK}"
    rf"|{_SEEN})\b.*",
    r"(?:let me know|feel free|if you|please let).*\b(?:transcri\w+|markdown|extracted|extraction"
    r"|format(?:ting)?)\b.*",
    r"(?:以上|上述|这些|這些)(?:内容|內容)?(?:就)?(?:是|为|為)?.{0,20}(?:图片|圖片|图像|图中|转录|轉錄|识别|識別|提取).{0,60}",
    r"(?:请注意|注意|注|備註|备注)[，,：:].{0,40}(?:图片|圖片|图像|转录|轉錄|识别|識別).{0,60}",
    r"(?:图片|圖片|图像|图)(?:中|上|里)(?:没有|沒有|未).{0,60}",
)
_LIKELY_CLOSES = (
    r"(?:please )?(?:let me know|feel free|don't hesitate)\b.*",
    r"i hope (?:this|that|it)\b.*|hope this helps.*|i(?:'m| am) happy to\b.*|i can (?:also )?(?:help"
    r"|provide)\b.*",
    r"if you (?:need|have|would like|want|require|'d like)\b.*\b(?:ask|let me know|assist\w*|help)\b.*",
    r"(?:is there|would you like|do you (?:need|want)|can i help)\b.*\?",
    r"如(?:果|有|需).{0,40}(?:告诉我|告訴我|帮助|幫助|帮忙|随时|隨時).{0,20}",
    r"希望.{0,12}(?:帮助|幫助|有用).{0,10}",
    r"(?:您|你)?(?:还|還)?(?:有|需要)(?:其他|别的|什么).{0,20}(?:吗|嗎|么)",
)
_NOTHING = (
    rf"(?:the|this) (?:page|document|{_SEEN})(?: (?:appears|seems) to be| is|'s) (?:\w+ )?(?:blank|empty"
    rf"|black|white)\b.*",
    rf"(?:the|this) (?:page|document|{_SEEN}) (?:does not|doesn't) (?:appear to )?(?:contain|have|show"
    rf"|include)\b.*",
    r"(?:there (?:is|are) )?no (?:\w+ ){0,3}(?:text|content|words|characters)\b.*\b"
    r"(?:visible|present|found|detected|image|page|picture|transcribe)\b.*",
    r"\[(?:blank|empty)(?: page)?\]|\[no (?:visible |readable )?text\]",
    r"(?:i'm |i am )?(?:very )?sorry[,;]? .*\bi\b.*",
    r"(?:unfortunately,? )?(?:i (?:cannot|can't|can not|am (?:unable|not able))|i'm (?:unable|not able)) .*",
    r"(?:please (?:provide|upload|share)|could you (?:please )?(?:provide|upload|share)) .*",
    r"(?:该|这张|這張|此)?(?:图片|圖片|图像|图|页面|頁面)(?:中|上|里|是|为)?(?:没有|沒有|未|空白|不包含).{0,40}",
    r"(?:很)?(?:抱歉|对不起|對不起).{0,60}(?:无法|無法|不能|看不).{0,60}",
)


def _any(*forms: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{form})" for group in forms for form in group), re.IGNORECASE)


_SURE_OPENING, _LIKELY_OPENING = _any(_OPENS), _any(_LIKELY_OPENS)
_SURE_CLOSING, _LIKELY_CLOSING = _any(_CLOSES), _any(_LIKELY_CLOSES)
_SAYS_NOTHING = _any(_NOTHING)
_OF_THE_PICTURE = re.compile(rf"\b(?:the|this) {_SEEN}\b|图片|圖片|图像", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])\s*")
_DECORATION = re.compile(r"^[\s#*_>]+|[\s*_]+$")


def opening(line: str) -> Certainty | None:
    """Of a line before the page's first words."""
    return _certainty(line, _SURE_OPENING, _LIKELY_OPENING)


def closing(line: str) -> Certainty | None:
    """Of a line after the page's last words."""
    return _certainty(line, _SURE_CLOSING, _LIKELY_CLOSING)


def says_nothing(line: str) -> bool:
    """Whether it says that there is nothing to read, or that the model will not."""
    sentences = _sentences(line)
    return bool(sentences) and bool(_SAYS_NOTHING.fullmatch(sentences[0]))


def _certainty(line: str, sure: re.Pattern[str], likely: re.Pattern[str]) -> Certainty | None:
    """`sure` where one sentence is, and the others are likely at least."""
    sentences = _sentences(line)
    if not sentences or _NOT_OURS.search(line):
        return None
    found = [bool(sure.fullmatch(sentence)) for sentence in sentences]
    if not all(f or likely.fullmatch(s) for f, s in zip(found, sentences, strict=True)):
        return None
    both = len(sentences) > 1 and _OF_THE_PICTURE.search(line)
    return "sure" if any(found) or both else "likely"


def _sentences(line: str) -> list[str]:
    if len(line) > _LONGEST:
        return []
    plain = _DECORATION.sub("", line.replace("’", "'").replace("**", ""))
    found = (part.strip().rstrip(".!。！，, ") for part in _SENTENCE_END.split(plain))
    return [part for part in found if part]
