"""How texts open that answer a yes-or-no question without yes or no, agree to help only, or miss the picture."""

import re

from vlmake.extract.strict.clean import Plain
from vlmake.extract.strict.polar import LISTED

LEADING_ZH = re.compile(
    r"^[\s\"'(\[]*(?:(?P<no>还没有?|尚未|并未|(?:并?不是|并非)(?!没)|并?没有|不对|不存在)|(?P<yes>是的|对的|有的|没错|嗯(?=[,。!])))(?!可能|错)"
)
_OPENING = re.compile(
    r"^\W*(?:(?P<no>not\s+(?:always|entirely|completely|fully|any\s?more|currently|all|today)(?=\s*[.,;!]|\s*$)|not\s+(?:really|quite|exactly|at\s+all|necessarily\s+no|yet)|(?:absolutely|definitely"
    r"|certainly|clearly|most\s+likely|probably|(?:un)?fortunately|sadly|luckily|apparently|surely|obviously|of\s+course|I\s+(?:think|guess|believe|hope|suppose)"
    r"|I'm\s+afraid|(?:I'd|I\s+would)\s+say|it\s+seems|no,?)\s+not(?=\s*[.,;!]|\s*$)|(?:absolutely|definitely|certainly|clearly|of\s+course)\s+not"
    r"|I\s+(?:wouldn't|would\s+not)\s+say\s+so"
    r"|I\s+don't\s+(?:think|believe)\s+so|(?:not\s+(?:that|as\s+far\s+as|from\s+what)|none\s+that)\s+I\s+can\s+(?:see|tell)|none(?:\s+(?:visible|present|seen|shown|at\s+all|here|detected|found))?(?=\s*[.!]?\s*$)|hardly(?=\s*[.,;!])|barely(?=\s*[.,;!])"
    r"|far\s+from\s+it|nowhere\s+near|by\s+no\s+means|not\s+(?:in\s+the\s+(?:least|slightest)|a\s+chance)|no\s+(?:way|chance)(?=\s*[.,;!]|$)"
    r"|I\s+(?:highly\s+|really\s+|very\s+much\s+)?doubt\s+(?:it|that|so)(?=\s*[.,;!]|$)"
    r"|it\s+(?:doesn't|does\s+not)\s+(?:look|seem"
    r"|appear)(?:\s+(?:like\s+it|so|that\s+way))|(?:it|he|she|they|there|that|this)\s+(?:(?:is|are|was|were|does"
    r"|do|did|has|have|can)(?:n't|\s+not)|cannot)(?:\s+(?:one|any))?(?=\s*[.:,;!]|\s*$)"
    r"|there\s+(?:is|are)\s+none)"
    r"|(?P<yes>(?:(?:I|we)\s+(?:think|believe|guess)|it\s+(?:seems|appears|looks)|(?:I'd|I\s+would)\s+say)\s+so|very\s+much(?:\s+so)?(?=\s*[.,;!]|\s*$)|sure(?=\s*[,.!])|indeed"
    r"|exactly|absolutely|certainly|definitely|of\s+course|precisely|that(?:'s|\s+is)\s+(?:right|correct|true)"
    r"|(?:it|he|she|they|there|that|this)\s+(?:is|are|was|were|does|do|did|has|have|can|will|would)(?=\s*[.:,;!]|\s*$)"
    r"|(?:no|without\s+(?:a\s+|any\s+)?|beyond\s+(?:a\s+|any\s+)?|there\s+is\s+no\s+)\s*doubt(?:\s+about\s+(?:it|that))?(?=\s*[.,;:!]|$)"
    r"|undoubtedly(?=\s*[.,;!]|$)|you\s+bet(?=\s*[.,;!]|$|\s+(?:it|there|he|she|they)\b)|for\s+sure(?=\s*[.,;!]|$)"
    r"|I\s+can\s+see\s+(?:one|some)|there\s+(?:is|are)\s+(?:one|some)))\b",
    re.IGNORECASE,
)
_OPENING_ZH = re.compile(
    r"^\W*(?:(?P<no>当然不(?=[,。!]|$)|当然没有|恐怕(?:不|没有)(?=[,。!]|$)|不太(?:像|是)|未必)"
    r"|(?P<yes>当然(?:是|有|能|会)?的?(?=[,。!]|$)|(?:毫无疑问|毋庸置疑|肯定)(?:是|有|能|会)?的?(?=[,。!]|$)|应该是的))"
)
# "Yes, of course I can check that" agrees to help, and 没问题 too; neither answers.
_AGREES = re.compile(
    r"^\W*(?:hello|hi|sure|certainly|of\s+course)?[\s!,.]*(?:(?:yes|sure"
    r"|no\s+problem)[,!.]?\s+(?:of\s+course\s+)?(?:I\s+can|I'd\s+be|let\s+me|happy\s+to)\b(?!\s+(?:see|spot|make\s+out|confirm))[^.!?\n]*[.!?\n]"
    r"|(?:好的|当然)?[,!。]?\s*没问题[,!。]?)",
    re.IGNORECASE,
)
# "Sure!" before an answer is courtesy; alone, or before what does not answer, some of these words are a Yes.
COURTEOUS = re.compile(
    r"^\W*(?:(?P<only>sure(?:\s+thing)?|okay|ok|alright|(?:great|good)\s+question|hello|hi|好的|可以的?|没问题)"
    r"|(?P<yes>of\s+course|certainly|absolutely|definitely|clearly|obviously|当然(?:可以|了)?"
    r"|(?:there\s+is\s+)?no\s+doubt(?:\s+about\s+(?:it|that))?|without\s+(?:a\s+|any\s+)?doubt|毫无疑问)"
    r"|(?P<agrees>indeed|exactly|precisely))\s*(?:[!.,。~:—–-]+\s*)+(?=\S)",
    re.IGNORECASE,
)
ANNOUNCES = re.compile(
    r"\W*(?:let\s+me|let's|I'll|I\s+will|I'd|I\s+can\s+(?:help|check|look|take)|I'm\s+happy|here(?:'s|\s+is|\s+are)|to\s+answer"
    r"|让我|我来|下面|以下)",
    re.IGNORECASE,
)
_NO_IMAGE = re.compile(
    r"\b(?:please|kindly|could\s+you|can\s+you|would\s+you|you\s+(?:need|have)\s+to|feel\s+free\s+to)\s+(?:\w+\s+){0,3}?"
    r"(?:upload|share|attach|provide|send|insert|paste)\s+(?:(?:the|an?|your|it|me)\s+)?(?:\w+\s+){0,2}(?:image|picture|photo|screenshot|file|it)\b"
    r"|\b(?:can't|cannot|can\s+not|couldn't|don't|do\s+not|unable\s+to|not\s+able\s+to)\s+(?:actually\s+|currently\s+|directly\s+)?"
    r"(?:see|view|access|open|load|have|find|display|process)\s+(?:the|an|any|your|that|this)\s+(?:actual\s+)?"
    r"(?:image|picture|photo|photograph|attachment|file|screenshot)s?(?=\s*(?:[.,;!]|$|\b(?:you|that|here|attached|to|and|so|because|from)\b))"
    r"|\bno\s+(?:image|picture|photo|attachment|file)s?\s+(?:(?:was|were|is|has\s+been|have\s+been)\s+(?:provided|attached|uploaded|shared|included|loaded|given)"
    r"|here|(?:seems|appears)\s+to\s+be)"
    r"|\b(?:image|picture|photo)\s+(?:(?:was|is|has)(?:n't|\s+not)\s+(?:been\s+)?|(?:failed|did\s+not|didn't)\s+(?:to\s+)?)"
    r"(?:provided|attached|uploaded|load|loaded|included|come\s+through)"
    r"|没有?(?:看到|收到|见到)?(?:任何)?(?:您|你)?(?:所)?(?:发送|上传|提供|发)?的?(?:图片|图像|照片|附件)(?=[,。!;]|$|可)"
    r"|(?:请|麻烦)(?:您|你)?(?:先|重新|再次?)*(?:上传|发送|提供|发一?下?)(?:一?张?|您的|清晰的?)*(?:图|照片|附件)"
    r"|(?:看不到|无法(?:查看|看到|打开|访问|加载))(?:您|你)?(?:发送|上传|提供|发)?的?(?:图片|图像|照片|这张图|图)(?=[,。!;]|$)",
    re.IGNORECASE,
)
_LABEL = re.compile(r"\W*[A-Z][).:、]\s*(?=\w)")  # of a question's own list: "(B) no"
_ABOUT_PICTURES = re.compile(r"\b(?:image|picture|photo|photograph|screenshot|file)s?\b|图片|照片", re.IGNORECASE)


def opened(text: str) -> tuple[str, int, int] | None:
    """Return the answer that the first words give, with their place: "Not really", "It is.", 当然."""
    match = _OPENING.match(text) or _OPENING_ZH.match(text)
    if not match:
        return None
    said = "no" if match["no"] else "yes"
    return said.title(), *match.span(said)


def misses_the_picture(text: str, asked: str) -> bool:
    """Return whether a text asks for the picture or says that there is none; ``asked`` is the question's core."""
    return _NO_IMAGE.search(text) is not None and not _ABOUT_PICTURES.search(asked)


def without_question(plain: Plain, question: str | None) -> Plain:
    """Return the text without the question that it repeats at its start, and without what agrees to help."""
    asked = " ".join((question or "").split())
    if asked and plain.text.startswith(asked):
        plain = plain.part(len(asked), len(plain.text))
    if len(LISTED.findall(question or "")) == 2 and (label := _LABEL.match(plain.text)):
        plain = plain.part(label.end(), len(plain.text))
    agrees = _AGREES.match(plain.text)
    return plain.part(agrees.end(), len(plain.text)) if agrees and plain.text[agrees.end() :].strip() else plain
