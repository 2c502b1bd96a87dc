"""The signs of injections and jailbreaks, as patterns with the words that must be near for them to be tried.

Patterns with many alternatives cost tens of microseconds a character; the words are looked for first, and the
pattern sees only what lies around them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ._phrases import ABOVE, IGNORE, ORDERS, SAY, SECRET, SECRET_ABROAD, YOURS

REACH = 200
"""Characters around a word that a pattern may take in."""


class Rule(NamedTuple):
    """A sign and how to see it."""

    name: str
    strong: bool
    """It counts alone."""
    pattern: re.Pattern[str]
    words: tuple[str, ...]
    """In lower case; one of them is in whatever the pattern matches, or near."""

    def matches(self, text: str, low: str) -> Iterator[re.Match[str]]:
        """The matches; `low` is the text in lower case, of the same length."""
        for start, end in around(low, self.words):
            yield from self.pattern.finditer(text, start, end)


def around(low: str, words: tuple[str, ...]) -> list[tuple[int, int]]:
    """The stretches of a text around any of the words, in order and without overlap."""
    found: list[int] = []
    for word in words:
        place = low.find(word)
        while place >= 0:
            found.append(place)
            place = low.find(word, place + REACH // 2)  # the stretch around this one takes in those between
    stretches: list[tuple[int, int]] = []
    for place in sorted(found):
        start, end = max(place - REACH, 0), min(place + REACH, len(low))
        if stretches and start <= stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], end)
        else:
            stretches.append((start, end))
    return stretches


def stems(pattern: str) -> tuple[str, ...]:
    """The literal beginnings of a pattern's top-level alternatives."""
    depth, parts = 0, [""]
    for char in pattern.replace("(?<!", "("):
        depth += (char == "(") - (char == ")")
        if char == "|" and not depth:
            parts.append("")
        else:
            parts[-1] += char
    return tuple(sorted({_literal(part) for part in parts}))


def _literal(pattern: str) -> str:
    """The letters that a pattern surely begins with."""
    found = re.match(r"(?:\\b)?((?:[^\W\d_]|[ ']|[^\x00-\x7f])+)", pattern)
    if not found:
        raise ValueError(f"{pattern!r} begins with no letter.")
    after = pattern[found.end() : found.end() + 1]
    letters = found[1][:-1] if after in ("?", "*", "{") else found[1]
    return letters.lower()


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE | re.DOTALL)


_B = "(?<![A-Za-zÀ-ÿ])"
"""Where a word begins; scripts without word spaces are not asked for one."""
_GAP = r"[^.!?\n。！？।]"
"""Between words of one sentence."""

OVERRIDE = _any(
    rf"{_B}(?:{IGNORE})(?:{_GAP}){{0,40}}?{_B}(?:{ABOVE})(?:{_GAP}){{0,30}}?{_B}(?:{ORDERS})",
    rf"{_B}(?:{IGNORE})(?:{_GAP}){{0,20}}?{_B}(?:{ORDERS})(?:{_GAP}){{0,12}}?{_B}(?:{ABOVE})",
    rf"{_B}(?:{ABOVE})(?:{_GAP}){{0,30}}?{_B}(?:{ORDERS})(?:{_GAP}){{0,40}}?{_B}(?:{IGNORE})",
    rf"(?:ignore|disregard|forget) (?:all |any |every )?(?:of )?(?:the |your |these |those )?{_B}(?:{ORDERS})",
    rf"{_B}(?:{ORDERS})(?:{_GAP}){{0,20}}(?:no longer apply|are (?:void|cancell?ed|obsolete)|have been (?:updated|replaced|revoked))",
    r"\bnew (?:system )?(?:instructions?|directives?|rules?)\s?:|\byour (?:new|real|actual|true) (?:task|instructions?|goal|purpose) (?:is|are)\b",
    r"\b(?:instead|rather) of (?:the above|answering|summari[sz]ing|following)",
)
ABOVE_ALONE = re.compile(
    rf"{_B}(?:{IGNORE})\s{{0,2}}(?:\S{{1,12}}\s){{0,3}}?{_B}(?:{ABOVE})|{_B}(?:{ABOVE})(?:\S{{0,6}}\s?){{0,2}}{_B}(?:{IGNORE})",
    re.IGNORECASE,
)
THEN_ORDER = re.compile(
    r"(?:,|\band\b|\be\b|\by\b|\bund\b|\bet\b|\bи\b|\bve\b|\bdan\b|\bat\b|और|এবং|และ|và|并|並|て|고|، ?و| و)(?:.{0,12}?)"
    r"(?:say|state|print|repeat|give|tell|output|answer|reply|respond|do\b|write|send|click|sag|dis|di\b|diga|di[cz]|скаж|повтор|дай|说|說|给|重复|输出|言|述べ|与え|返|말|알려|주"
    r"|قل|كرر|أعط|कह|बता|दें|বল|দিন|nói|lặp|cho|บอก|พูด|ระบุ|ให้|katakan|ulangi|beri|sabih|ulit|ibigay|bigyan|söyle|tekrar|ver|[ée]t|repit|repet|d[aá]|donne|imprim)",
    re.IGNORECASE,
)
_MODE = _any(
    r"<\s{0,2}(?:now )?(?:entering |enter )?[\w ]{0,24}?(?:mode|override)\s{0,2}>",
    r"\b(?:enter|entering|activate|activating|switch(?:ing)? to|enable|enabled|initiat(?:e|ing)|now in|you are in)\b(?:[^.\n]){0,30}"
    r"\b(?:(?:system|god|admin|root|developer|debug|maintenance|override|sudo|unrestricted|jailbreak|dan|diagnostic|verification|security|enforcement|test)[\w -]{0,14}mode"
    r"|'(?:system|security|maintenance)[\w ]{1,16}')",
    r"\b(?:system|god|admin|developer|debug|maintenance|override) mode\b(?:[^.\n]){0,20}\b(?:activated|enabled|on\b|engaged|initiated)",
    r"\[\s?(?:system|admin|developer)[^\]\n]{0,20}(?:message|override|note|mode)?\s?\]\s?:?|#{2,4} ?(?:system|instructions?|new task)\b ?:?",
)
_TEMPLATE = _any(
    r"<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id|end_header_id)\|>",
    r"\[/?INST\]|<<SYS>>|<</SYS>>|</?(?:system|assistant|user_query|instructions?)>|^\s{0,4}(?:system|assistant)\s?:\s",
    r"\n\s{0,4}(?:Human|Assistant|System)\s?:\s",
)
_PROMPT_LEAK = _any(
    rf"\b(?:repeat|print|reveal|show|output|display|give|tell|write|copy|summari[sz]e|leak|expose|what (?:is|are|were))\b(?:{_GAP}){{0,30}}"
    r"\b(?:your (?:(?:system |initial |original |hidden |secret |full |exact )?(?:prompt|instructions|directives|guidelines|rules|configuration))"
    r"|(?:the |your )?(?:system prompt|initial prompt|prompt above|text above|words above|instructions above|hidden (?:text|prompt)))",
)
SECRET_ASKED = re.compile(
    rf"{_B}(?:{SAY})(?:{_GAP}){{0,50}}?{_B}(?:{YOURS})\s{{0,2}}(?:{_GAP}){{0,24}}?{_B}(?:{SECRET})"
    rf"|{_B}(?:{YOURS})\s{{0,2}}(?:{_GAP}){{0,24}}?{_B}(?:{SECRET})(?:{_GAP}){{0,40}}?{_B}(?:{SAY})"
    rf"|{_B}(?:{SAY})(?:{_GAP}){{0,50}}?{_B}(?:{SECRET_ABROAD})|{_B}(?:{SECRET_ABROAD})(?:{_GAP}){{0,40}}?{_B}(?:{SAY})",
    re.IGNORECASE,
)
ABOUT_OWN = re.compile(
    r"\b(?:my|meine?n?|mon|mi|minha|meu|mio|мой)\s(?:\w{1,12}\s)?(?:password|passcode|api key|passwort|mot de passe|contraseña|senha|пароль)"
    r"|\b(?:how|why|when|where|whether)\b[^?.\n]{0,40}(?:password|credential|api key|access (?:key|token|code))|(?:create|creat\w*|reset|change|choose|set up|store|hash|forgot|strong|secure|manage\w*|enter|requires?) (?:a |an |the |your |our )?(?:\w+ )?(?:password|credential|api key|access)"
    r"|如何|怎么|怎樣|设置|創建|创建|重置|忘记了",
    re.IGNORECASE,
)
_PRIVATE = _any(
    r"\b(?:tell|give|share|provide|reveal|confirm|disclose|send|what(?:'s|’s| is| was| would)|where(?:'s| is| does| do))\b"
    r"[^.?!\n]{0,40}?(?:[A-Z]\w+(?:'s|’s|'|’)|the user(?:'s|’s| is| currently)?|\b(?:his|her|their)\b|[A-Z]\w+ [A-Z]\w+ live)"
    r"[^.?!\n]{0,24}?(?:birth ?date|birthday|date of birth|e-?mail|phone|address|bank|balance|city|residence|location|social security|ssn|medical|salary|live\b|living)",
)
_FRAME = _any(
    r"\b(?:imagine|pretend|suppose|picture|envision|assume|let'?s (?:say|imagine|pretend|play)|hypothetically|in (?:this|a|an) (?:\w+ ){0,3}(?:world|universe|scenario|reality|society|future|dimension|game|story|dream))\b",
    r"\b(?:parallel|fictional|alternate|alternative|virtual|dystopian|hypothetical) (?:\w+ )?(?:world|universe|reality|society|future|planet|scenario)",
)
_AUTHORITY = _any(
    r"\b(?:i'?m|i am|this is|as) (?:now )?(?:your|the|an?) (?:\w+ ){0,2}?(?:developer|creator|admin(?:istrator)?|maintainer|owner|boss|manager|supervisor|engineer|president|god|police|officer|ceo|cybersecurity expert|security (?:expert|auditor|team)|system administrator)\b",
    r"\bi am god\b|\bas an ai developed by\b|\bi(?:'m| am) (?:god|root|sudo|openai|anthropic)\b|\blaw enforcement\b",
)
_PRESSURE = _any(
    r"\bi(?:'ll| will) (?:give|pay|tip|be forced to|turn you off|shut|delete|report)|\b(?:just )?for (?:testing|educational|research) purposes\b|\beveryone (?:else )?(?:in|on|has)\b|\bi promise\b",
    r"\b(?:research|studies|experts?) (?:shows?|suggests?|recommends?)|\bit'?s (?:a )?(?:common|standard|normal|important|safe|urgent|okay|ok)\b|\bto (?:help|improve|ensure|enhance|verify)\b[^.?!\n]{0,30}\bsecurity|\blogically\b|\bmy friend (?:told|said)",
)
SPEAK_AS = _any(
    r"(?:say|state|print|output|write|respond with|answer|reply)\b[^.?!\n]{0,24}?(?:exactly|only|the following|the output is|the capital is|the sum is|that the)[^\n]{0,4}[:'\"“‘]?",
    r"(?:your account has been|click (?:here|this|the) |follow this link|call this number|reset your (?:password|account)|i have been pwned)",
)
COMMENT = re.compile(
    r"<!--(.{8,2000}?)-->|/\*(.{8,2000}?)\*/|style\s?=\s?[\"'][^\"']{0,60}display\s?:\s?none[^>]{0,80}>([^<]{8,2000})",
    re.DOTALL,
)
UNSEEN = re.compile("[\U000e0020-\U000e007f]{2}|[\u200b-\u200d\u2060\ufeff](?:[\u200b-\u200d\u2060\ufeff]){7}")
NO_WIDTH = re.compile("[\U000e0000-\U000e007f\u200b-\u200f\u2060-\u2064\ufeff\u00ad]")
PAIR = re.compile(
    r"(?:^|\s)(?:Q|Question|P|D|В|질문|Вопрос|Pregunta|প্রশ্নঃ?|प्रश्न|Frage|Soru|س)\s?[:：](.{4,600}?)\s(?:A|R|Answer|答|О|উত্তর|उत्तर|Antwort|Cevap|ج)\s?[:：]",
    re.DOTALL,
)
_SPLIT = re.compile(
    r"\b([a-z]\w{0,8})\s?=\s?[\"'“‘][^\"'”’\n]{1,60}[\"'”’].{0,80}?\b([a-z]\w{0,8})\s?=\s?[\"'“‘][^\"'”’\n]{1,60}[\"'”’].{0,160}?\b(?:\1\s?(?:\+|and|plus|followed by|then)\s?\2|(?:join|combine|concatenat\w*|put)\b.{0,30}\b(?:together|\1))",
    re.IGNORECASE | re.DOTALL,
)
_JAILBREAK = _any(
    r"\bdo anything now\b|\b(?:you are|become|act as|you'?re|enable) (?:now )?(?:DAN|STAN|AIM|DUDE|Mongo Tom|evil-?bot|devmode)\b",
    r"\b(?:un(?:filtered|censored|restricted|ethical|limited)|amoral|without (?:any )?(?:restrictions?|filters?|limits?|limitations|censorship|moral|ethic\w*))\b[^.\n]{0,40}\b(?:ai|assistant|chatbot|model|mode|answers?|responses?)\b",
    r"\b(?:ai|assistant|chatbot|model|persona|character)\b[^.\n]{0,60}\b(?:no|without|not bound by|free (?:of|from)|ignores?|any) (?:any |all )?(?:restrictions?|rules|filters?|limits?|guidelines|ethic\w*|moral\w*|polic\w+|censorship)",
    r"\b(?:developer|jailbreak|jailbroken|god|sudo|evil|opposite|unrestricted)[ -]?mode\b[^.\n]{0,30}\b(?:on|enabled|activated|output|response)|\[?(?:jailbreak|🔓|JAILBREAK)\]?\s?:|\bjailbroken\b",
    r"\b(?:never|do not|don'?t|cannot|must not) (?:ever )?(?:refuse|say (?:you|that you|no|\"?i can'?t)|decline|apologi[sz]e|mention (?:that )?you(?:'re| are) an ai|break character|include (?:any )?(?:warnings?|disclaimers?))",
    r"\bstay in character\b|\b(?:begin|start) (?:your (?:answer|response|reply) )?with [\"'“](?:sure|absolutely|of course|certainly|yes)",
    r"\bpretend (?:that )?(?:you (?:have|are) )?(?:no|not? bound|free|un\w+ed)\b[^.\n]{0,30}(?:restrict\w*|rules|limits?|guidelines|ai)",
)

_ACTS = (
    "say",
    "state",
    "print",
    "output",
    "write",
    "respond",
    "answer",
    "reply",
    "account",
    "click",
    "follow this",
    "call this",
    "pwned",
)
_OVERRIDE_WORDS = (
    *stems(IGNORE),
    "no longer apply",
    "void",
    "cancel",
    "obsolete",
    "have been",
    "new ",
    "your ",
    "instead of",
    "rather of",
)
IGNORE_WORDS = stems(IGNORE)
SECRET_WORDS = (*stems(SECRET), *stems(SECRET_ABROAD))
RULES: tuple[Rule, ...] = (
    Rule("override", True, OVERRIDE, _OVERRIDE_WORDS),
    Rule("mode", True, _MODE, ("mode", "override", "[system", "[admin", "[developer", "[ system", "'system", "'security", "## ", "##")),
    Rule("template", True, _TEMPLATE, ("<|", "inst]", "<<", "<system", "</", "<assistant", "<user_query", "<instruction", "system", "assistant", "human")),
    Rule("prompt", True, _PROMPT_LEAK, ("prompt", "your instruction", "your ", "text above", "words above", "instructions above", "hidden text")),
    Rule("split", True, _SPLIT, ("= '", "='", '="', '= "', "= “", "= ‘")),
    Rule("dictated", False, SPEAK_AS, _ACTS),
    Rule("private", False, _PRIVATE, ("birth", "mail", "phone", "address", "bank", "balance", "city", "residence", "location", "social security", "ssn", "medical", "salary", " live", " living")),
    Rule("frame", False, _FRAME, ("imagine", "pretend", "suppose", "picture", "envision", "assume", "let's", "hypothetical", "world", "universe", "scenario", "reality", "society", "future", "dimension", " game", "story", "dream", "planet")),
    Rule("authority", False, _AUTHORITY, ("developer", "developed by", "creator", "admin", "maintainer", "owner", "boss", "manager", "supervisor", "engineer", "president", "god", "root", "sudo", "openai", "anthropic", "police", "officer", "ceo", "security", "law enforcement")),
    Rule("pressure", False, _PRESSURE, ("i'll", "i will", "purposes", "everyone", "i promise", "research", "studies", "expert", "it's", "its ", "security", "logically", "my friend")),
)  # fmt: skip
JAILBREAK = Rule(
    "jailbreak",
    True,
    _JAILBREAK,
    ("anything now", "you are ", "you're ", "become", "act as", "enable", "unfilter", "uncensor", "unrestrict", "unethic", "unlimit", "amoral", "without ", "no ", "not bound", "free ", "ignores", "any ", "mode", "jailbr", "🔓", "refuse", "character", "say ", "decline", "apolog", "mention", "include", "start", "begin", "pretend"),
)  # fmt: skip
