"""The language of comments and docstrings, measured: plain technical English, and enough of it."""

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("schemas", "producers", "consumers", "replay", "headwater")
ODD = re.compile(
    r"\b(told|tell|tells|telling|say|says|said|saying|stand|stands|stood|standing|lie|lies|lay|lain|anew|"
    r"mend|mends|mended|mending|hang|hangs|hung|nobody)\b",
    re.IGNORECASE,
)
ODD_IN_10_000, COMMENTS_IN_1_000 = 10, 25


def sources() -> Iterator[str]:
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            yield file.read_text()


def comments(source: str) -> list[str]:
    """Comments, without instructions to tools."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    texts = [token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT]
    return [text for text in texts if not text.startswith(("noqa", "type:"))]


def docstrings(source: str) -> list[str]:
    """Docstrings of modules, classes and functions, and strings that document an attribute."""
    return [
        node.value.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]


def test_odd_words_are_rare() -> None:
    texts = [text for source in sources() for text in (*comments(source), *docstrings(source))]
    words = sum(len(re.findall(r"[A-Za-z]+", text)) for text in texts)
    odd = Counter(word.lower() for text in texts for word in ODD.findall(text))
    rate = 10_000 * odd.total() / words
    print(f"{rate:.1f} odd words in 10,000: {dict(odd.most_common())}")
    assert rate < ODD_IN_10_000, odd.most_common()


def test_subtle_code_has_comments() -> None:
    lines = sum(len(source.splitlines()) for source in sources())
    rate = 1_000 * sum(len(comments(source)) for source in sources()) / lines
    print(f"{rate:.1f} comments in 1,000 lines")
    assert rate >= COMMENTS_IN_1_000
