"""Words that hold an option's word and mean something else: a sea horse is no horse, 熊猫 no 猫.

A lexicon, since no rule tells "white horse" from "sea horse". Compounds that are written as one English word need none.
"""

import re

from vlmake.extract.strict.overlap import words_in

_ENGLISH = {  # first word → those that make a compound of it
    "sea": "horse lion cow urchin star dog snake",
    "rocking": "horse",
    "horse": "chestnut",
    "hot": "dog",
    "prairie": "dog",
    "guinea": "pig",
    "mountain": "lion goat bike",
    "dog": "house food",
    "cat": "food",
    "fish": "tank bowl",
    "bird": "house cage",
    "bird's": "nest",
    "teddy": "bear",
    "computer": "mouse",
    "mouse": "pad",
    "ice": "cream cube",
    "butter": "cup",
    "peanut": "butter",
    "coconut": "milk",
    "orange": "juice",
    "apple": "pie juice tree",
    "chicken": "soup wire coop",
    "car": "park",
    "bus": "stop",
    "train": "station track",
    "tree": "house",
    "green": "house tea",
    "white": "house board wine",
    "black": "board tea",
    "red": "wine cross",
    "fire": "truck work place hydrant extinguisher",
    "rain": "coat",
    "snow": "man board",
    "traffic": "light",
    "light": "bulb house",
    "egg": "plant",
    "pine": "cone",
    "table": "tennis",
    "tennis": "ball court racket",
    "ping": "pong",
    "bed": "room",
    "bath": "room",
    "water": "melon fall bottle",
    "tea": "pot spoon",
    "coffee": "table shop",
    "golden": "retriever gate",
    "second": "thought",
    "no": "doubt question problem wonder matter more less longer other fewer",
    "nothing": "but else",
    "may": "be have also not well seem look appear indicate suggest represent refer",
    "left": "over with behind blank unanswered",
    "right": "next behind beside away now here there above below under before after angle triangle answer option"
    " choice",
    "that's": "right",
    "you're": "right",
    "all": "right",
    "quite": "right",
    "absolutely": "right",
}
_CHINESE = (
    "熊猫|猫头鹰|猫眼|热狗|海狗|天狗|海马|河马|斑马|马路|马上|马桶|马虎|马甲|马达|罗马|木马|人马座|号码|蜗牛|犀牛"
    "|天牛|牛奶|牛肉|牛排|牛仔|吹牛|袋鼠|松鼠"
    "|土拨鼠|鼠标|海豹|海狮|海象|企鹅|天鹅|鹅卵石|火鸡|田鸡|鸡蛋|鸡肉|鸭舌帽|羊驼|羚羊|羊毛|羊肉|狗尾草|浣熊|熊掌"
    "|蝙蝠|鳄鱼|鲸鱼|章鱼|鱿鱼|美人鱼|鱼竿"
    "|鱼缸|鸟巢|鸟笼|蜂鸟|鸵鸟|虎皮鹦鹉|壁虎|老虎机|虎口|狼狗|狼藉|马蜂|龙虾|恐龙|水龙头|沙龙|花生|花椒|花瓶|花盆"
    "|棉花|烟花|火花|西瓜|南瓜|黄瓜|冬瓜"
    "|红绿灯|红茶|红酒|红薯|绿茶|绿豆|黑板|黑客|白菜|白酒|白板|明白|空白|黄金|黄油|蓝莓|蓝牙|银行|银河|粉丝|粉笔"
    "|橙汁|树莓|树脂|树懒|书包|书架|书桌"
    "|书店|茶几|茶壶|水果|水杯|水瓶|水泥|水牛|火车|火锅|火山|火箭|冰箱|雪茄|雨伞|雨衣|月饼|月季|日历|日记|星期"
    "|左右|上下|大小|高低|车站|车票|风车"
    "|球场|球衣|床单|门票|部门|热门|灯笼|钟楼"
)
_COMPOUND = re.compile(
    r"(?<![a-z])(?:"
    + "|".join(rf"{head}[\s-]+(?:{'|'.join(rest.split())})" for head, rest in _ENGLISH.items())
    + r"|that\s+is\s+right|you\s+are\s+right|right\s+in\s+(?:front|the\s+middle))(?:e?s)?(?![a-z])"
    r"|^\W{0,4}right,(?=\s+(?:let|so\b|i\b|we\b|now\b|here\b))"
)
_COMPOUND_ZH = re.compile(_CHINESE)
_HEADS = frozenset(_ENGLISH) | {"that", "you", "right"}


def compounds_in(text: str, cores: frozenset[str]) -> list[tuple[int, int]]:
    """Return where a text says such a word, unless an option says it itself.

    Args:
        text: A cleaned text in lower case.
        cores: The options' texts in lower case.
    """
    places = [] if _HEADS.isdisjoint(words_in(text)) else [match.span() for match in _COMPOUND.finditer(text)]
    if not text.isascii():
        places += [match.span() for match in _COMPOUND_ZH.finditer(text)]
    return [(start, end) for start, end in places if not any(text[start:end] in core for core in cores)]
