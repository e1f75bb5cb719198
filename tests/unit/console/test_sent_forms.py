"""Forms that were sent are remembered for a while, and never more than some."""

from __future__ import annotations

import pytest

from logkeep.console import sent_forms
from logkeep.console.sent_forms import SentAlready, SentForms


def send(forms: SentForms, token: str, now_ms: int = 0) -> None:
    with forms.once(token, now_ms):
        pass


def test_a_form_is_remembered_for_a_quarter_of_an_hour() -> None:
    forms = SentForms()
    send(forms, "a.1")
    with pytest.raises(SentAlready):
        send(forms, "a.1", 899_999)
    send(forms, "a.1", 900_000)


def test_no_more_are_remembered_than_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sent_forms, "_MOST", 2)
    forms = SentForms()
    for token in ("a.1", "a.2", "a.3", "a.1"):  # the third puts the first out
        send(forms, token)
    with pytest.raises(SentAlready):
        send(forms, "a.3")
