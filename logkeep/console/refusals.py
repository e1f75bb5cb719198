"""What a refused form tells: which field is meant, by its label, and what is wrong with it."""

from __future__ import annotations

from typing import NamedTuple

from logkeep.console.rendering import N_
from logkeep.console.visit import Values, Visit
from logkeep.errors import InvalidField, LogkeepError, UnknownBucket

MOST_ROWS = 50  # for nodes in a form


class Labelled(NamedTuple):
    """A field of the API in the forms: its label, and the name of its input."""

    label: str
    input: str


_FIELDS = {
    "name": Labelled(N_("Name"), "name"),
    "kind": Labelled(N_("Kind"), "kind"),
    "nodes": Labelled(N_("Nodes"), ""),
    "nodes.name": Labelled(N_("Name of the node"), "name"),
    "nodes.source": Labelled(N_("Log directory"), "source"),
    "nodes.ip": Labelled(N_("Address"), "ip"),
    "endpoint": Labelled(N_("Where clients reach it"), "endpoint"),
    "url": Labelled(N_("The cluster's own API"), "url"),
    "source": Labelled(N_("Pattern of each node's log directory"), "source"),
    "user": Labelled(N_("User"), "user"),
    "password": Labelled(N_("Password"), "password"),
    "role": Labelled(N_("Role"), "role"),
    "agency": Labelled(N_("Agency"), "agency"),
    "log_bucket": Labelled(N_("Bucket"), "bucket"),
    "log_base_path": Labelled(N_("Path in the bucket"), "base_path"),
    "period": Labelled(N_("Time of day"), "time"),
    "tags": Labelled(N_("Tags"), ""),
    "key": Labelled(N_("Key"), "key"),
    "value": Labelled(N_("Value"), "value"),
    "text": Labelled(N_("Text"), ""),
    "node": Labelled(N_("Node"), "node"),
    "family": Labelled(N_("Log"), "family"),
    "levels": Labelled(N_("Level"), ""),
    "cursor": Labelled(N_("Place to go on from"), ""),
    "since": Labelled(N_("Since"), "since"),
    "until": Labelled(N_("Until"), "until"),
    "webhook": Labelled(N_("URL of the receiver"), "url"),
    "secret": Labelled(N_("Secret"), "secret"),
    "clusters": Labelled(N_("Clusters"), "clusters"),
    "events": Labelled(N_("Events"), ""),
    "quiet": Labelled(N_("Quiet hours"), "quiet"),
    "zone": Labelled(N_("Zone"), "zone"),
    "job": Labelled(N_("Task"), "job"),
    "why": Labelled(N_("Why"), "why"),
    "expires_at": Labelled(N_("It ends"), "expires"),
    "rules": Labelled(N_("Rule"), ""),
    "log": Labelled(N_("Log"), "log"),
    "rules.log": Labelled(N_("Log"), "log"),
    "rules.keep_days": Labelled(N_("Days"), "days"),
    "rules.keep_bytes": Labelled(N_("Size in the bucket"), "size"),
    "rules.keep_jobs": Labelled(N_("Backups"), "jobs"),
}


class Refusal(NamedTuple):
    """A refused form, as a person is told of it."""

    message: str
    wrong: str  # name of the input that is meant, '' where it is not one


def filled_rows(form: Values) -> list[int]:
    """Return in which rows for nodes something was typed; they count from 0."""
    return [row for row in range(MOST_ROWS) if form[f"name_{row}"] or form[f"source_{row}"]]


def make_refusal(error: LogkeepError, visit: Visit) -> Refusal:
    """Return an error in the words of the form: what the API calls a field, no page shows."""
    field, sentence = _part(error)
    if not field:
        return Refusal(visit.texts(error.message), "")
    sentence = visit.texts(sentence)
    known = _FIELDS.get(field)
    if known is None:
        return Refusal(sentence[:1].upper() + sentence[1:], "")
    label, row = visit.texts(known.label), _find_row(error, visit.form)
    if row is None:
        told = visit.texts("%(label)s: %(problem)s") % {"label": label, "problem": sentence}
        return Refusal(told, known.input)
    told = visit.texts("%(label)s, row %(row)s: %(problem)s") % {"label": label, "row": row + 1, "problem": sentence}
    return Refusal(told, f"{known.input}_{row}" if known.input else "")


def _part(error: LogkeepError) -> tuple[str, str]:
    """Return the field that an error names, '' for none, and its sentence."""
    field, _, sentence = error.message.partition(": ")
    if isinstance(error, UnknownBucket) and field.endswith("(log_bucket"):  # in the words of the API
        return "log_bucket", sentence.removesuffix(")")
    if isinstance(error, InvalidField) or field in _FIELDS:
        return field, sentence
    return "", error.message


def _find_row(error: LogkeepError, form: Values) -> int | None:
    """Return the row of the node that an error is about."""
    if not isinstance(error, InvalidField) or error.index is None or form["by"] == "api":
        return None
    rows = filled_rows(form)
    return rows[error.index] if error.index < len(rows) else None
