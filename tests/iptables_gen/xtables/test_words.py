"""Splitting lines into words and quoting them again, as iptables 1.8.9 does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iptables_gen.xtables.words import WordError, quoted, restore_string, save_string, split_words

PRINTABLE = st.text(st.characters(blacklist_categories=("Cc", "Cs"), blacklist_characters="\x85\u2028\u2029"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        pytest.param("-A FOO", ["-A", "FOO"], id="blanks separate"),
        pytest.param("  -A\tFOO  ", ["-A", "FOO"], id="any blanks, anywhere"),
        pytest.param('-m "a b"', ["-m", "a b"], id="double quotes group"),
        pytest.param("-m 'a b'", ["-m", "'a", "b'"], id="single quotes do not"),
        pytest.param(r'"a \" b \\ c"', ['a " b \\ c'], id="a backslash escapes inside quotes"),
        pytest.param(r"a\"b c", None, id="a backslash outside quotes is a backslash, and the quote opens"),
        pytest.param(r"a\'b", [r"a\'b"], id="a backslash outside quotes stays"),
        pytest.param('x"b c"', ["xb c"], id="quotes may open in the middle of a word"),
        pytest.param('"b c"-j', ["b c", "-j"], id="a closing quote ends the word"),
        pytest.param('a"b"c"d"', ["ab", "cd"], id="and the next word may begin at once"),
        pytest.param('""', [""], id="an empty word"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_words_of_a_line(line: str, words: list[str] | None) -> None:
    if words is None:
        with pytest.raises(WordError, match="never closed"):
            split_words(line)
    else:
        assert [word.text for word in split_words(line)] == words


def test_columns_point_at_the_word() -> None:
    line = '-A FOO -m comment --comment "a b" -j X'
    for word in split_words(line):
        assert line[word.column - 1 :].startswith(("-", "FOO", "comment", '"a b"', "X"))
        assert word.quoted == (word.text == "a b")


@pytest.mark.parametrize(
    ("text", "save", "restore"),
    [
        pytest.param("foo-bar_9", "foo-bar_9", "foo-bar_9", id="letters need no quotes"),
        pytest.param("default/web", '"default/web"', "default/web", id="save quotes everything else"),
        pytest.param("a b", '"a b"', '"a b"', id="blanks need quotes"),
        pytest.param("it's", '"it\\\'s"', "it's", id="save escapes single quotes"),
        pytest.param('"', '"\\""', '"\\""', id="double quotes are escaped"),
        pytest.param("\\", '"\\\\"', "\\", id="backslashes"),
        pytest.param("", '""', '""', id="nothing is quoted"),
        pytest.param("$(reboot); `id`", '"$(reboot); `id`"', '"$(reboot); `id`"', id="a shell's words mean nothing"),
    ],
)
def test_quoting(text: str, save: str, restore: str) -> None:
    assert save_string(text) == save
    assert restore_string(text) == restore


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b", "\x7f", "a\n-A INPUT -j ACCEPT"], ids=repr)
def test_control_characters_never_get_into_a_rule(text: str) -> None:
    for quote in (quoted, save_string, restore_string):
        with pytest.raises(ValueError, match="control character"):
            quote(text)


@given(PRINTABLE)
def test_quoted_text_is_one_word_and_reads_back(text: str) -> None:
    for quote in (quoted, save_string, restore_string):
        words = split_words(f"--comment {quote(text)} -j DROP")
        assert [word.text for word in words] == ["--comment", text, "-j", "DROP"]
