"""The registry: one module a family, each with a list TASKS. A new family is a new file and one name here."""

from . import code, english, figures, french, italian, lists, messages, notes, portuguese, repair, reviews, spanish

FAMILIES = [
    code, figures, reviews, spanish, french, italian, portuguese, english, messages, lists, repair, notes,
]
