"""The texts of the console: all of them are there in each language, and say what they are given."""

from __future__ import annotations

import gettext
import re
from collections import Counter
from io import BytesIO

import pytest

from logkeep.console import rendering
from logkeep.console.texts import LANGUAGES, texts_of
from tests.support.console_texts import MESSAGES, compile_texts, find_texts, read_translation, update, write_source

SAID = find_texts()
TRANSLATION = read_translation()
GIVEN = re.compile(r"%\(\w+\)s|%%|%s|`[^`]*`|</?\w[^>]*>")  # values, commands and markup
HOUR = 3_600_000


def translations_of(text: str | tuple[str, str]) -> tuple[str, ...]:
    message = TRANSLATION.get(text if isinstance(text, str) else text[0])
    assert message, "run `make texts` and translate what it names"
    assert message.id == text
    return (message.string,) if isinstance(message.string, str) else tuple(message.string)


def test_every_text_has_a_translation():
    assert len(SAID) > 500
    missing = [text for text in SAID if not all(translations_of(text))]
    assert missing == [], "`make texts` puts them into console.po: translate them there"


def test_nothing_is_translated_that_is_not_said_or_only_guessed():
    said = {text if isinstance(text, str) else text[0] for text in SAID}
    known = {message.id if isinstance(message.id, str) else message.id[0] for message in TRANSLATION if message.id}
    assert known == said
    assert not TRANSLATION.obsolete
    assert not [message.id for message in TRANSLATION if message.fuzzy]


def test_values_commands_and_markup_are_those_of_the_text():
    for text in SAID:
        shown = text if isinstance(text, str) else text[1]
        for translated in translations_of(text):
            assert Counter(GIVEN.findall(translated)) == Counter(GIVEN.findall(shown)), shown


def test_a_translation_begins_and_ends_as_the_text_does():
    for text in SAID:
        shown = text if isinstance(text, str) else text[1]
        for translated in translations_of(text):
            assert translated == translated.strip()
            assert translated.endswith(("。", "？")) == shown.endswith((".", "?")), shown
            assert translated.endswith("：") == shown.endswith(":") or shown == "A line of", shown


def test_files_are_as_make_texts_writes_them():
    assert write_source(update(TRANSLATION)) == (MESSAGES / "console.po").read_bytes(), "run `make texts`"
    assert compile_texts(update(TRANSLATION)) == (MESSAGES / "console.mo").read_bytes(), "run `make texts`"


def test_what_is_compiled_says_what_is_translated():
    compiled = gettext.GNUTranslations(BytesIO((MESSAGES / "console.mo").read_bytes()))
    for text in SAID:
        said = compiled.gettext(text) if isinstance(text, str) else compiled.ngettext(*text, 2)
        assert (said,) == translations_of(text)


def test_the_header_names_no_day_and_nobody():
    header = (MESSAGES / "console.po").read_text("utf-8").partition("\n\n")[0]
    assert "charset=utf-8" in header
    assert "nplurals=1" in header
    assert not re.search(r"\d{4}-\d\d|@|Generated-By", header)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_template_compiles(language: str):
    environment = rendering._environment(language)
    for name in environment.list_templates():
        environment.get_template(name)


def test_a_translation_can_be_filled_in():
    for text in SAID:
        for translated in translations_of(text):
            if "%(" in translated:
                assert "%(" not in translated % dict.fromkeys(re.findall(r"%\((\w+)\)s", translated), "7")


@pytest.mark.parametrize(
    ("ms", "english", "chinese"),
    [
        (3200, "3.2 s", "3.2 秒"),
        (59_900, "59 s", "59 秒"),
        (245_000, "4 min 5 s", "4 分 5 秒"),
        (12_000_000, "3 h 20 min", "3 小时 20 分"),
        (52 * HOUR, "2 d 4 h", "2 天 4 小时"),
    ],
)
def test_durations_are_written_in_the_language(ms: int, english: str, chinese: str):
    assert texts_of("en").duration(ms) == english
    assert texts_of("zh").duration(ms) == chinese


@pytest.mark.parametrize(
    ("ms", "english", "chinese"),
    [
        (-1000, "just now", "刚刚"),
        (1000, "in less than a minute", "不到 1 分钟后"),
        (-30 * 60_000, "30 min ago", "30 分钟前"),
        (3 * HOUR, "in 3 h", "3 小时后"),
        (-72 * HOUR, "3 d ago", "3 天前"),
    ],
)
def test_ages_are_written_in_the_language(ms: int, english: str, chinese: str):
    assert texts_of("en").age(ms, 0) == english
    assert texts_of("zh").age(ms, 0) == chinese
