"""What customers ask: what stored answers fit, and what only a model can tell."""

from dataclasses import dataclass
from uuid import NAMESPACE_OID, uuid5

MESSAGES = ("what's popular this week", "新刊", "show me action manga", "what should I do")
WORD = "{word}"
"""Where a question has a word of its own, so that no answer is kept for it."""
WHO_DREW_AKIRA, WHO_DREW_ONE_PIECE = (
    f"Who drew Akira? {WORD}",
    f"『ワンピース』の作者は誰ですか {WORD}",
)
OF_MODELS = (
    "what's popular this week", WHO_DREW_AKIRA, "新刊", "show me action manga",
    WHO_DREW_ONE_PIECE, "what's popular this week", "新刊",
)  # fmt: skip
"""Two in seven are for a model, which answers each in the same words every time."""
TRUE_OF = {WHO_DREW_AKIRA: "Otomo", WHO_DREW_ONE_PIECE: "尾田"}
"""What a whole answer says that was made of all that search finds."""
LETTERS = 8


@dataclass(frozen=True, slots=True)
class Question:
    """One question in its session; `wording` may have a place for a word of its own."""

    session: str
    message_id: str
    wording: str

    @property
    def is_for_model(self) -> bool:
        """Whether no stored answer fits."""
        return WORD in self.wording

    @property
    def message(self) -> str:
        """What is asked."""
        number = uuid5(NAMESPACE_OID, f"{self.session} {self.message_id}").int
        word = "".join(chr(ord("a") + number // 26**at % 26) for at in range(LETTERS))
        return self.wording.replace(WORD, word)
