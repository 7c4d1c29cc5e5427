"""What a text names without standing behind it: denied, under a condition, by hearsay, or in a question.

All functions take a cleaned text (``reading.core``) and the place of what is named in it, and look no further than the
sentence around that place. ``is_denied`` says that it is *not* so; the others only that nobody says so here.
"""

import re

from vlmake.extract.strict.overlap import content, word_set, words_in

_FRAME = (  # words between a negation and what it denies
    r"(?:an?|the|any|be|been|being|is|are|was|were|it|it's|its|this|that|that's|there|there's|in|on|to|at|of|for"
    r"|with|as|so|very|quite|really"
    r"|option|choice|answer|letter|correct|right|best|either|would|could|should|must|have|here|likely|probably|looks?"
    r"|like|seems?|shows?|choos(?:e|ing)|pick(?:ing)?|select(?:ing)?|go(?:ing)?|saying|say)"
)
_NO_VERB = (
    r"(?:\b(?:do|does|did|would|will|wo|ca|can|could|should|must|is|was|are|were|has|have|need)(?:n't|\s+not)"
    r"|\bcannot|\bnever)"
)
_DENIED_BEFORE = re.compile(
    # "not a", "rather than", "it isn't"; "not only" and "no doubt" deny nothing
    r"(?:(?:\b(?:not(?!\s+only)|never|nor|neither|no|without|rather\s+than|instead\s+of|except(?:\s+for)?"
    r"|exclud(?:es?|ed|ing)"
    r"|eliminat(?:es?|ed|ing)|discard(?:s|ed|ing)?|dismiss(?:es|ed|ing)?|reject(?:s|ed|ing)?|cross(?:ed"
    r"|ing)?\s+out|rul(?:es?|ed|ing)\s+out|\w+n't|cannot\s+be"
    r"|unlike|than|hardly|scarcely|far\s+from|anything\s+but|nothing\s+like|as\s+opposed\s+to|by\s+no\s+means)"
    r"|不是|并非|绝非|而非|不为|没有|非|不属于|不像|误选|(?:可以|应|应该|可|先)?排除|除了"
    r")\s*(?:(?:an?|the|any|be|in|on|to|at|of|option|choice|answer|letter|necessarily|[a-z]{2,}ing|选项|了"
    r"|探究)\s*){0,3}"
    # "I don't think it's", "I would not go with"
    rf"|(?:{_NO_VERB}\s+(?:actually\s+|really\s+|personally\s+)?(?:think|believe|say|choose|pick|select|go|guess"
    rf"|consider|call|agree|opt|expect|support|suggest|mean|vote)"
    r"|\bI\s+(?:highly\s+|really\s+|strongly\s+|very\s+much\s+)?doubt(?:\s+if|\s+whether)?"
    r"|\b(?:unlikely|impossible|wrong|incorrect|mistake|mistaken)\s+(?:that|to|for))"
    rf"(?:\s+{_FRAME}){{0,8}}\s*"
    # 不要选, 答案不能是, 我不认为答案是
    r"|(?:(?<!是)(?<!要)(?<!对)(?<!无)不|(?<!特)(?<!分)(?<!告)(?<!类)别|绝对?不|没|切勿|勿)"
    r"(?:太|大|再|完全|应该?|应当|能|可能|可以?|会|要|该|宜|必|需要|建议|推荐|认为|觉得|相信|想|敢说|一定|得|再)*"
    r"(?:是|选择?|为|算|在|像|说)?(?:正确|的|答案|选项|应该?|是|选择?|为|它|这|那|图中|一[只个种条张辆]|:|\s)*)"
    r"[\"'(\[]*$",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    r"[\"')\]]*\s*(?:选项)?\s*(?:"
    r"(?:(?:is|are|was|were|can\s+be|could\s+be|must\s+be|should\s+be|would\s+be|seems?|looks?|has\s+been"
    r"|can\s+also\s+be|gets?)\s+(?:therefore\s+|clearly\s+"
    r"|also\s+|the\s+|thus\s+|immediately\s+|simply\s+|obviously\s+|definitely\s+)*)?"
    r"(?:[(:]\s*)?(?:incorrect|wrong|false|ruled\s+out|eliminated|excluded|discarded|dismissed|rejected"
    r"|impossible|unlikely|implausible"
    r"|not\s+(?:correct|right|possible|visible|present|mentioned|it|the\s+answer))\b"
    r"|(?:is|are)\s+(?:also\s+|clearly\s+|definitely\s+)?out(?=\s*(?:[.,;:!)]|$|because|since|as\b|and\b|too\b"
    r"|for\b))"
    r"|(?:is|are)\s+off\s+the\s+table\b"
    r"|(?:\s(?:makes?|made)\s+no\s+sense|contradicts?|fails?(?=\s*(?:[.,;]|$|because|since)))\b"
    r"|(?:is|are|was|were|would|could|should|will|can|do|does|did)\s+(?:clearly\s+|certainly\s+|definitely\s+"
    r"|also\s+|simply\s+)*not\b|isn't|aren't|wasn't"
    r"|never\b|can't|couldn't|wouldn't|won't|shouldn't|cannot\s+be|doesn't|don't|didn't"
    r"|(?:is|are)\s+(?:hardly|no\s+longer|by\s+no\s+means|anything\s+but|far\s+from)\b"
    r"|[?]\s*(?:[-–—]\s*)?(?:no(?:pe)?|not\s+(?:really|likely|at\s+all|quite|possible)|wrong|incorrect|unlikely"
    r"|impossible|不是?|不对|错|否|不可能|排除)(?=\W|$)"
    r"|(?<=[\w\"')\]])\s*(?:[:(=–—-]\s*)?[❌✘✗✖×]"
    r"|也?(?:项|选项)?(?:中的.{1,12})?(?:均|都|也|显然|明显|肯定)*(?:是|为|[(:])?(?:错误|错(?=[,.。、;)]|$)"
    r"|不正确|不对|错的|不符|不是|不能|不可能|不会是|不合适|不合理|不成立"
    r"|可以排除|可排除|被排除|应排除|排除|出局))",
    re.IGNORECASE,
)
_NOTHING_DENIED = re.compile(
    r"(?:\bnone\s+other\s+than|\bnothing\s+(?:but|else\s+than|other\s+than)|\bno\s+(?:other|option\s+other"
    r"|choice\s+other|other\s+\w+)\s+than"
    r"|\b(?:no|without\s+(?:a\s+)?|beyond\s+(?:any\s+)?)\s*(?:doubt|question)|\bmore\s+(?:\w+\s+){0,2}than\s+not"
    r"|\bother\s+than\s+not|不外乎|无非是?|莫过于)"
    r"\s*(?:(?:an?|the|is|it's|it|that|,|option|choice)\s*)*[\"'(\[]*$",
    re.IGNORECASE,
)
_DENIALS = word_set(  # words without which nothing English before a mention denies it
    "not never nor neither no without than instead rather except exclude excludes excluded excluding eliminate "
    "eliminates eliminated eliminating discard discards discarded discarding dismiss dismisses dismissed "
    "dismissing reject rejects rejected rejecting cross crossed crossing rule rules ruled ruling unlike hardly "
    "scarcely far anything nothing as cannot means doubt unlikely impossible wrong incorrect mistake mistaken"
)
_REACH = 80  # characters before a mention in which its denial can stand
_SENTENCE = 240  # characters of a sentence that are looked at on either side
SENTENCE_END = re.compile(r"[.!?]+(?=[\"')\]]*(?:\s|$))|[。\n]|(?<=[\u3000-\u9fff])[!?]+")
TURN = re.compile(
    r"\b(?:but|however|yet|actually|in\s+fact|in\s+reality|really|instead|rather)\b|但是?|然而|不过|可是|其实"
    r"|实际上?|事实上",
    re.IGNORECASE,
)
IF = re.compile(
    r"(?<!as )(?<!even )(?<!see )(?<!check )(?<!determine )(?<!decide )(?<!tell )(?<!know )(?<!sure "
    r")\b(?:(?:only\s+)?if|unless|(?<!I )suppose"
    r"|supposing|provided\s+that|in\s+case|were\s+(?:it|this|the)|had\s+(?:it|the|there|this))\b(?!\s+(?:not|any"
    r"|so)\b)"
    r"|如果|假如|假设|假使|倘若|(?<![主需重])要是|除非|(?<![宛旁倘假])若(?!干|隐|无|有所)|只有当|万一",
    re.IGNORECASE,
)
_MERE_IF = re.compile(  # "if you look closely", "if I had to choose", 如果仔细看: no condition of the answer
    r"\W{0,4}(?:that\s+)?(?:(?:we|you|one|I)\s+(?:\w+ly\s+|now\s+|just\s+|were\s+to\s+)?(?:look|examine|zoom"
    r"|count|consider|compare|add|calculate|compute|read"
    r"|check|see|observe|inspect|analy[sz]e|follow|trace|apply|use|substitute|plug|solve|subtract|multiply|divide"
    r"|sum|draw|have\s+to|had\s+to|must|need\s+to|am|'m|understand|remember"
    r"|recall|have|like|wish|'d|would|may|can|think|go|focus|take|put|set|let|trust|continue|start|rotate|fold"
    r"|want|turn|move)|I'm|we're|you're|forced|pressed|anything|possible|in\s+doubt|need(?:ed)?\b)"
    r"|[^,]{0,4}(?:仔细|我们|从|按|根据|把|将|一定要|必须|非要|看|观察|只能|要选|没看错|没有看错|我没|我的)",
    re.IGNORECASE,
)
HEARSAY = re.compile(
    r"\b(?:(?:some|many|others?|most|a\s+few|several|few)(?:\s+of\s+\w+)?(?:\s+(?:people|students?|viewers?"
    r"|readers?|observers?|experts?|folks|users?|might|may|could|would|will|even|also|mistakenly|wrongly|often))*"
    r"|people|someone|somebody|anyone|students?|(?:one|you)\s+(?:might|may|could)(?:\s+(?:initially|first|easily"
    r"|mistakenly|be\s+tempted\s+to))?|they(?:\s+(?:might|may|would))?)"
    r"\s+(?:say|says|said|think|thinks|thought|believe|believes|believed|argue|argues|argued|claim|claims|claimed"
    r"|assume|assumes|guess|pick|choose|suggest|answer|be\s+tempted)\b"
    r"|\bat\s+first\s+(?:glance|sight|look)\b|\b(?:at\s+first|initially|originally),?\s+(?:\w+\s+){0,3}(?:looks?"
    r"|seem(?:s|ed)?|appear(?:s|ed)?|thought"
    r"|assumed|believed|guessed)\b|\btempt(?:ed|ing)\s+to\b|\bI\s+was\s+(?:going|about)\s+to\s+(?:say|choose"
    r"|pick)\b|\bI\s+(?:first|initially|originally)\s+(?:thought"
    r"|said|assumed|believed|guessed)\b"
    r"|\bit\s+is\s+(?:said|rumou?red|claimed)\b"
    r"|(?:有(?:的|些)?人|(?:很多|许多|不少|一些|某些)(?:人|同学|学生)|大家|人们|有(?:的|些)?同学|别人"
    r"|他们)(?:可能|也许|会|都|就|常|往往|容易)*(?:认为|觉得|说|选|以为|主张|猜|误认为)"
    r"|乍一?看|(?:容易|可能会?|很容易)?(?:误以为|误认为)|(?:一开始|起初|原本|本来)(?:我|会)?(?:以为|认为|觉得|看)"
    r"|看似",
    re.IGNORECASE,
)
_UNREAL = re.compile(r"\b(?:were|was|had|would|could|might)\b", re.IGNORECASE)
_FIGURE = re.compile(r"[\d=<>°∠△]")
SEEMED_AFTER = re.compile(
    r"[\"')\]]*[^.!?,;。\n]{0,24}?\b(?:(?:seem|appear|look|sound|was|were|is|thought)(?:s"
    r"|ed)?\b[^.!?,;。\n]{0,30}?\b(?:at\s+first|initially|on\s+the\s+surface)\b"
    r"|tempting\b)",
    re.IGNORECASE,
)
_TAG = re.compile(
    r",?\s*(?:right|correct|isn't\s+it|doesn't\s+it|aren't\s+they|wasn't\s+it|ok(?:ay)?|don't\s+you\s+think|对吧"
    r"|对吗|对不对|是吧|好吗)\s*$",
    re.IGNORECASE,
)


_ANSWERED = re.compile(
    r"\W{0,6}(?:(?P<yes>yes|yeah|yep|correct|exactly|indeed|true|certainly|definitely|是的?|对的?|没错|正确)"
    r"|no(?:pe)?|not|wrong|incorrect|unlikely|impossible|不是?|不对|错|否|不可能|排除|[❌✘✗✖×])(?=\W|\s|$)",
    re.IGNORECASE,
)


def withheld(text: str, start: int, end: int, question: str | None = None) -> bool:
    """Return whether ``text[start:end]`` is named but not said to be so, for any of the reasons below."""
    return (
        is_denied(text, start, end)
        or is_asked(text, start, end)
        or is_hearsay(text, start, end)
        or is_conditional(text, start, end, question)
    )


def is_denied(text: str, start: int, end: int) -> bool:
    """Return whether it is denied: "not B", "I don't think it's B", "B is out", "B? No.", 不要选B, B错误."""
    if is_denied_behind(text, end):
        return True
    before = text[max(0, start - _REACH) : start]
    if before.isascii() and "n't" not in before and _DENIALS.isdisjoint(words_in(before)):
        return False
    return _DENIED_BEFORE.search(before) is not None and not _NOTHING_DENIED.search(before)


def is_denied_behind(text: str, end: int) -> bool:
    """Return whether what stands right behind ``end`` denies what is named before it: "is wrong", "? No.", 错误."""
    return _DENIED_AFTER.match(text, end) is not None


def is_asked(text: str, start: int, end: int) -> bool:
    """Return whether its sentence is a question ("Is it B?", 选A还是选B？).

    A tag ("B, right?") makes none, and neither does one that a "Yes" answers.
    """
    stop = SENTENCE_END.search(text, end, end + _SENTENCE)
    return stop is not None and "?" in stop[0] and not is_answered(text, end, stop.end(), only_yes=True)


def is_answered(text: str, start: int, end: int, only_yes: bool = False) -> bool:
    """Return whether the question ``text[start:end]`` is answered right behind it, or is none but for its tag."""
    if _TAG.search(text[start:end].rstrip("?\"')] ")):
        return True
    answered = _ANSWERED.match(text, end)
    return answered is not None and (answered["yes"] is not None or not only_yes)


def is_hearsay(text: str, start: int, end: int) -> bool:
    """Return whether others say it, or it only seemed so: "Some say B", "B seems right at first", 有人认为是B."""
    return HEARSAY.search(_clause_before(text, start)) is not None or SEEMED_AFTER.match(text, end) is not None


def is_conditional(text: str, start: int, end: int, question: str | None = None) -> bool:
    """Return whether it holds under a condition only: "If it barks, the answer would be B", "B only if", 如果…选B.

    "If you look closely" and "if I had to choose" are no conditions, nor is one that ``question`` itself states.
    """
    before = _clause_before(text, start)
    behind = sentence_after(text, end)
    turn = TURN.search(behind)
    behind = behind[: turn.start()] if turn else behind
    return has_condition(before, question) or has_condition(behind, question)


def sentence_before(text: str, start: int) -> str:
    """Return what stands before ``start`` in its sentence."""
    before = text[max(0, start - _SENTENCE) : start]
    ends = [match.end() for match in SENTENCE_END.finditer(before)]
    return before[ends[-1] :] if ends else before


def sentence_after(text: str, end: int) -> str:
    """Return what stands behind ``end`` in its sentence."""
    stop = SENTENCE_END.search(text, end, end + _SENTENCE)
    return text[end : stop.start() if stop else end + _SENTENCE]


def _clause_before(text: str, start: int) -> str:
    """Return the part of the sentence before ``start`` that is behind the last "but"."""
    before = sentence_before(text, start)
    turns = list(TURN.finditer(before))
    return before[turns[-1].end() :] if turns else before


def has_condition(clause: str, question: str | None = None) -> bool:
    """Return whether a part of a sentence says under which condition it holds."""
    for opened in IF.finditer(clause):
        condition = clause[opened.end() :]
        if not _MERE_IF.match(condition) and not _is_given(condition.partition(",")[0], question):
            return True
    return False


def _is_given(condition: str, question: str | None) -> bool:
    """Return whether the question states a condition ("If the ball is dropped, …"), or it is a step of arithmetic."""
    if _FIGURE.search(condition) and not _UNREAL.search(condition):
        return True
    said = content(condition)
    return bool(said) and len(said & content(question or "")) >= 0.6 * len(said)
