"""The registry: one module a family, each with a list TASKS. A new family is a new file and one name here."""

from . import code, figures, reviews, spanish

FAMILIES = [code, figures, reviews, spanish]
