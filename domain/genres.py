"""The vocabulary of genres and demographics: an ASCII slug each, named in English and Japanese.

Sources spell the same genre in several ways; `slug_of` folds them. A genre that the table does
not know keeps its own name in both languages.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class GenreName:
    """What a genre or demographic is called on a page."""

    slug: str
    en: str
    ja: str

    def in_locale(self, locale: str) -> str:
        """The name in this locale (English unless it is `ja`)."""
        return self.ja if locale == "ja" else self.en


_NAMES = (
    ("shonen", "Shonen", "少年漫画"),
    ("shojo", "Shojo", "少女漫画"),
    ("seinen", "Seinen", "青年漫画"),
    ("josei", "Josei", "女性漫画"),
    ("kids", "Kids", "児童漫画"),
    ("action", "Action", "アクション"),
    ("adult-cast", "Adult Cast", "大人が主役"),
    ("adventure", "Adventure", "冒険"),
    ("anthropomorphic", "Anthropomorphic", "擬人化"),
    ("avant-garde", "Avant Garde", "前衛"),
    ("award-winning", "Award Winning", "受賞作"),
    ("boys-love", "Boys Love", "BL"),
    ("childcare", "Childcare", "子育て"),
    ("combat-sports", "Combat Sports", "格闘技"),
    ("comedy", "Comedy", "コメディ"),
    ("crossdressing", "Crossdressing", "異性装"),
    ("cute-girls", "Cute Girls", "美少女日常"),
    ("delinquents", "Delinquents", "不良"),
    ("detective", "Detective", "探偵"),
    ("drama", "Drama", "ドラマ"),
    ("ecchi", "Ecchi", "お色気"),
    ("educational", "Educational", "学習"),
    ("erotica", "Erotica", "官能"),
    ("fantasy", "Fantasy", "ファンタジー"),
    ("gag-humor", "Gag Humor", "ギャグ"),
    ("game", "Game", "ゲーム"),
    ("girls-love", "Girls Love", "百合"),
    ("gore", "Gore", "残酷描写"),
    ("gourmet", "Gourmet", "グルメ"),
    ("harem", "Harem", "ハーレム"),
    ("hentai", "Hentai", "成人向け"),
    ("high-stakes-game", "High Stakes Game", "ギャンブル"),
    ("historical", "Historical", "歴史"),
    ("horror", "Horror", "ホラー"),
    ("idols", "Idols", "アイドル"),
    ("isekai", "Isekai", "異世界"),
    ("iyashikei", "Iyashikei", "癒し系"),
    ("love-polygon", "Love Polygon", "三角関係"),
    ("magical-girls", "Magical Girls", "魔法少女"),
    ("magical-sex-shift", "Magical Sex Shift", "性転換"),
    ("martial-arts", "Martial Arts", "武術"),
    ("mecha", "Mecha", "ロボット"),
    ("medical", "Medical", "医療"),
    ("memoir", "Memoir", "自伝"),
    ("military", "Military", "軍事"),
    ("music", "Music", "音楽"),
    ("mystery", "Mystery", "ミステリー"),
    ("mythology", "Mythology", "神話"),
    ("organized-crime", "Organized Crime", "裏社会"),
    ("otaku-culture", "Otaku Culture", "オタク文化"),
    ("parody", "Parody", "パロディ"),
    ("performing-arts", "Performing Arts", "舞台芸術"),
    ("pets", "Pets", "ペット"),
    ("psychological", "Psychological", "心理"),
    ("racing", "Racing", "レース"),
    ("reincarnation", "Reincarnation", "転生"),
    ("reverse-harem", "Reverse Harem", "逆ハーレム"),
    ("romance", "Romance", "恋愛"),
    ("romantic-comedy", "Romantic Comedy", "ラブコメ"),
    ("romantic-subtext", "Romantic Subtext", "恋の気配"),
    ("samurai", "Samurai", "侍"),
    ("school", "School", "学園"),
    ("sci-fi", "Sci-Fi", "SF"),
    ("showbiz", "Showbiz", "芸能界"),
    ("slice-of-life", "Slice of Life", "日常"),
    ("space", "Space", "宇宙"),
    ("sports", "Sports", "スポーツ"),
    ("strategy-game", "Strategy Game", "戦略ゲーム"),
    ("super-power", "Super Power", "超能力"),
    ("supernatural", "Supernatural", "超常現象"),
    ("survival", "Survival", "サバイバル"),
    ("suspense", "Suspense", "サスペンス"),
    ("team-sports", "Team Sports", "チームスポーツ"),
    ("time-travel", "Time Travel", "タイムトラベル"),
    ("urban-fantasy", "Urban Fantasy", "現代ファンタジー"),
    ("vampire", "Vampire", "吸血鬼"),
    ("video-game", "Video Game", "ビデオゲーム"),
    ("villainess", "Villainess", "悪役令嬢"),
    ("visual-arts", "Visual Arts", "美術"),
    ("workplace", "Workplace", "お仕事"),
)

GENRE_NAMES = {slug: GenreName(slug, en, ja) for slug, en, ja in _NAMES}

DEMOGRAPHICS = frozenset({"shonen", "shojo", "seinen", "josei", "kids"})
ADULT_GENRES = frozenset({"hentai", "erotica"})

_SAME = {
    "shounen": "shonen",
    "shoujo": "shojo",
    "children": "kids",
    "shonen-ai": "boys-love",
    "shounen-ai": "boys-love",
    "yaoi": "boys-love",
    "shojo-ai": "girls-love",
    "shoujo-ai": "girls-love",
    "yuri": "girls-love",
    "mahou-shoujo": "magical-girls",
    "mahou-shojo": "magical-girls",
    "magical-girl": "magical-girls",
    "cgdct": "cute-girls",
    "gag": "gag-humor",
    "science-fiction": "sci-fi",
    "sf": "sci-fi",
    "thriller": "suspense",
    "idols-male": "idols",
    "idols-female": "idols",
    "history": "historical",
    "food": "gourmet",
    "cooking": "gourmet",
    "sport": "sports",
}


@lru_cache(maxsize=4096)
def slug_of(name: str) -> str:
    """The slug of a genre or demographic as any source spells it; empty if no letter is left.

    A name without ASCII letters keeps its code points in hexadecimal, so that no two collide.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if not slug:
        slug = "-".join(f"{ord(c):x}" for c in name.strip() if c.isalnum())
    return _SAME.get(slug, slug)


def genre_name(slug: str, source_name: str = "") -> GenreName:
    """How to call the genre; one that the table lacks goes by its source's name."""
    known = GENRE_NAMES.get(slug)
    if known is not None:
        return known
    shown = source_name or slug
    return GenreName(slug, shown, shown)


def names_in(locale: str, labels: Iterable[str]) -> list[str]:
    """What genres and demographics are called in the locale, by what their source calls them."""
    return [genre_name(slug_of(label), label).in_locale(locale) for label in labels]
