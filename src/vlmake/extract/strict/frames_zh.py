"""Cutting the answer out of a Chinese sentence that repeats its question: 鱼是鳜鱼 answers 鱼是什么鱼 with 鳜鱼.

Chinese puts the answer where the question has its question word: what stands before and behind it there stands before
and behind the answer too. Else the answer follows the last 是, 为 or 有 whose subject the question names.
"""

import re

from vlmake.extract.strict.clean import TRIM, Plain, stripped
from vlmake.extract.strict.overlap import content, coverage

_LEAD = re.compile(r"^\W*(?:(?:根据|按照|由|从)[^,]{1,40},\s*|(?:应该|应|所以|因此)(?=是|为))")
_TAIL = re.compile(r"\s*(?:\([^()]*\)|,仅.*|,这(?![张幅个位只条本座家辆栋道]).*|,因为.*)\s*[.。]?\s*$", re.DOTALL)
_WH = re.compile(
    r"什么(?:颜色|时候|地方)?|多少|几(?!乎)|哪(?:一?[个种位家年座些里儿款天月]|里"
    r"|儿)?(?:[\u4e00-\u9fff]{1,3}(?=的))?|谁|多长|多大|多高|多远|怎样|如何|为何"
)
_COPULA = re.compile(
    r"(?:的)?(?:是|为|叫做?|写着|写的是|显示为?|显示的是|读数为|标注为|等于|约为?|达到|(?:一共|总共|共|合计)(?:要|需)?(?:花费?了?|付了?|用了?)|共有|一共有|总共有|名叫"
    r"|名为|有(?!限|效|机|关|些|点|时|人)|位于|在(?=[\u4e00-\u9fff]{2}))[:\s]*"
)
_ALSO = re.compile("(?:又|也|俗|别|亦)(?:称|叫|名)[为作做]?$")  # another name of what has one already
_BUSY = re.compile(r"正(?=在[^,。]{1,10}[里上中下旁边前后处]\S)|正在|(?<!现)在|正")
_DOING = re.compile(r"(?:做|干)(?:什么|啥|嘛)")
_PRONOUN = re.compile(
    r"(?:他|她|它|他们|她们|这|那|现在|目前|图中|图片中|画面中|照片中)(?:正在|在|是|有|为|共有|一共有|叫)"
)
_NUMBER = re.compile(r"[¥$€￥]?\d[\d,.]*\s?(?:[A-Za-z%°℃²³/]{1,6}|[\u4e00-\u9fff]{0,6})")
_ASKS_NUMBER = re.compile(r"多少(?!号)|几|多[大长高远重]")
_OPINION = re.compile(r"(?:我(?:认为|觉得|猜|想)|看起来|看上去|应该|应当|好像|似乎|大概)(?:应该)?(?:是|像|为)")
_QUOTED = re.compile(r"[\"「《]([^\"「」《》\n]{1,200})[\"」》]")
_ASKS_WORDS = re.compile(r"写|字|名|标题|叫|读|标语|口号|店|书|意思|翻译|词")
_HEDGES = frozenset("应大概约共总正仅只")
_LONGEST_RUN = 8  # characters before a question word that an answer repeats
_LONGEST = 60  # characters of an answer


def is_chinese(text: str) -> bool:
    """Return whether a sentence is built as a Chinese one."""
    han = sum("\u4e00" <= letter <= "\u9fff" for letter in text)
    return han * 3 > len(text) or (han > 0 and re.search("[是为叫从]", text) is not None)


def answer_in_chinese(plain: Plain, question: str, alone: bool) -> Plain | None:
    """Return the answer that a Chinese sentence gives, or None; see ``vlmake.extract.strict.frames.answer_in``."""
    text = plain.text
    named = [match for match in _QUOTED.finditer(text) if match[1] not in question]
    if len(named) == 1 and _ASKS_WORDS.search(question) and not _ALSO.search(text[: named[0].start()]):
        return plain.part(*named[0].span(1))
    if (tail := _TAIL.search(text)) and tail.start() > 0:
        plain = plain.part(0, tail.start())
    plain = _best_clause(stripped(plain, TRIM), question)
    asked = question.replace("？", "?").replace("，", ",").strip()
    behind = ""
    if _DOING.search(asked) and (doing := _BUSY.search(plain.text)):
        what = plain.part(doing.end(), len(plain.text))
        return stripped(what, TRIM) if what.text.startswith("在") else _unframed(what, "", asked)
    if word := _WH.search(asked):
        before, behind = (
            re.split(r"[,\s]", asked[: word.start()])[-1][-_LONGEST_RUN:],
            re.sub("[?。吗呢]*\\s*$", "", asked[word.end() :]),
        )
        shared = next((before[n:] for n in range(len(before) - 1) if before[n:] in plain.text), "")
        if word[0].startswith(("哪里", "哪儿")):
            behind = word[0][2:] + behind
        if shared:
            rest = plain.part(plain.text.index(shared) + len(shared), len(plain.text))
            inner = re.match(r"[^是为\d]{1,10}[是为](?=.)", rest.text)
            if inner and len(content(inner[0]) & content(question)) * 2 >= len(content(inner[0][:-1]) - set("时间")):
                rest = rest.part(inner.end(), len(rest.text))
            return _unframed(rest, behind, asked)
        if len(behind) >= 3 and plain.text.endswith(behind) and not re.search("[是为]", plain.text):
            return _unframed(plain.part(0, len(plain.text) - len(behind)), "", asked)
    if alone and (opinion := _OPINION.match(plain.text)) and opinion.end() < len(plain.text):
        return _unframed(plain.part(opinion.end(), len(plain.text)), behind, asked)
    if alone and (pronoun := _PRONOUN.match(plain.text)):
        return _unframed(plain.part(pronoun.end(), len(plain.text)), behind, asked)
    if plain.text.endswith("是" + asked[2:].rstrip("?")) and asked.startswith(("谁是", "哪")):
        return _unframed(plain.part(0, plain.text.rindex("是")), "", asked)
    for match in reversed([match for match in _COPULA.finditer(plain.text) if match.end() < len(plain.text)]):
        said = content(plain.text[: match.start()]) - _HEDGES
        begins = match.start() == 0 or not (content(plain.text[: match.start()]) - _HEDGES)
        if (begins and match[0].startswith(("是", "为"))) or (said and len(said & content(question)) * 3 >= len(said)):
            return _unframed(plain.part(match.end(), len(plain.text)), behind, asked)
    numbers = list(_NUMBER.finditer(plain.text))
    if (
        _ASKS_NUMBER.search(asked)
        and len(numbers) == 1
        and "或" not in plain.text
        and plain.text.endswith(numbers[0][0])
    ):
        return _unframed(plain.part(*numbers[0].span()), behind, asked)
    return None


def _best_clause(plain: Plain, question: str) -> Plain:
    """Return the clause that says most of what is asked, the last one of equals."""
    starts = [0, *(match.end() for match in re.finditer(r"[,。;](?!\s?\d)", plain.text))]
    ends = [*(start - 1 for start in starts[1:]), len(plain.text)]
    asked = content(question)
    clauses = [plain.part(start, end) for start, end in zip(starts, ends, strict=True) if plain.text[start:end].strip()]
    best = max(
        range(len(clauses)),
        key=lambda n: (coverage(asked, clauses[n].text) + 0.3 * (n == len(clauses) - 1), n),
        default=None,
    )
    clause = stripped(clauses[best]) if best is not None else plain
    lead = _LEAD.match(clause.text)
    return stripped(clause.part(lead.end(), len(clause.text))) if lead else clause


def _unframed(plain: Plain, behind: str, asked: str) -> Plain | None:
    lead = re.match(
        r"(?:(?:的?(?:时间|数值|数字|内容|名称|名字|结果|数量|地点))?(?:的是|的|是|为|[于在至到从](?=\s?\d)|了|着|叫做?|有|在|:|\s))+",
        plain.text,
    )
    if lead and lead.end() < len(plain.text):
        plain = plain.part(lead.end(), len(plain.text))
    plain = stripped(plain, TRIM)
    for ending in (behind[n:] for n in range(max(len(behind) - 1, 0))):
        if len(ending.strip()) > 1 and plain.text.endswith(ending) and len(plain.text) > len(ending):
            plain = plain.part(0, len(plain.text) - len(ending))
            break
    if len(plain.text) > 2 and plain.text.endswith("的"):
        made = (
            re.search(r"(?:所|来)?(?:写|画|作|创作|设计|制作|发明|执导|演唱|拍摄)?的$", plain.text)
            if behind in ("", "?")
            else None
        )
        plain = plain.part(0, made.start() if made and made.start() > 1 else len(plain.text) - 1)
    if figure := re.match(r"[^\d是为]{1,6}[是为](?=[¥$]?\d)", plain.text):
        plain = plain.part(figure.end(), len(plain.text))
    if further := re.search(r"," if "谁" in asked else r",(?!\s?\d)", plain.text):
        plain = plain.part(0, further.start())
    plain = stripped(plain, TRIM)
    return plain if plain.text and len(plain.text) <= _LONGEST else None
