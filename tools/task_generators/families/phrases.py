"""What the families of languages share: tables of nouns and verbs, and the items made of them."""

from dataclasses import dataclass

import checks
from core import Item, Task, ordered, pick


def verb_table(text):
    """verb -> what may follow it, from lines such as `canta: una canción / muy bien`."""
    table = {}
    for line in text.strip().splitlines():
        verb, rests = line.split(": ")
        table[verb] = rests.split(" / ")
    return table


def noun_groups(nouns):
    """`kind gender` -> nouns, from kind -> (masculine nouns, feminine nouns, …)."""
    groups = {}
    for kind, (masculine, feminine, *_) in nouns.items():
        groups[f"{kind} m"] = masculine.split()
        groups[f"{kind} f"] = feminine.split()
    return groups


def noun_phrases(nouns, determiners, feminine, plural):
    """A `make` for phrases of determiner, noun and adjective in the singular, to be put into the plural.

    determiners  gender -> singular -> plural
    feminine     adjective in the masculine singular -> feminine singular
    plural       word -> plural
    """
    kinds = {noun: (key[-1], key[:-2]) for key, all_of in noun_groups(nouns).items() for noun in all_of}

    def make(groups):
        for noun in groups:
            gender, kind = kinds[noun]
            for adjective in nouns[kind][2].split():
                adjective = adjective if gender == "m" else feminine(adjective)
                one = pick(sorted(determiners[gender]), "determiner", noun, adjective)
                many = determiners[gender][one]
                yield Item(noun, f"{one} {noun} {adjective}", f"{many} {plural(noun)} {plural(adjective)}")

    return make


def negated(table, subjects, negate):
    """A `make` for sentences with five subjects each; `negate` gives the negated verb."""

    def make(groups):
        for verb in groups:
            for rest in table[verb]:
                for subject in ordered(subjects, "subject", verb, rest)[:5]:
                    yield Item(verb, f"{subject} {verb} {rest}.", f"{subject} {negate(verb)} {rest}.")

    return make


def of_several(table, subjects, plural):
    """A `make` for sentences whose subject and verb are put into the plural; subjects: singular -> plural."""

    def make(groups):
        for verb in groups:
            for rest in table[verb]:
                for one, many in subjects.items():
                    yield Item(verb, f"{one} {verb} {rest}.", f"{many} {plural(verb)} {rest}.")

    return make


def feminine_in_a(adjective):
    """The feminine of an adjective, in languages whose masculine -o becomes -a."""
    return adjective[:-1] + "a" if adjective.endswith("o") else adjective


@dataclass(frozen=True)
class Language:
    """A language whose nouns and verbs are asked about, and the tasks that all such languages have.

    code         what the names of its tasks begin with
    nouns, determiners, feminine, plural    as `noun_phrases` takes them
    verbs        verb -> what may follow it
    """

    family: str
    code: str
    nouns: dict
    determiners: dict
    feminine: object
    plural: object
    verbs: dict

    def plurals(self, instructions, check, **more):
        """The task of putting noun phrases into the plural."""
        return Task(
            family=self.family,
            name=f"{self.code}_plural",
            rule="the plural of article, noun and adjective",
            group="noun",
            check=check,
            instructions=instructions,
            groups=noun_groups(self.nouns),
            make=noun_phrases(self.nouns, self.determiners, self.feminine, self.plural),
            **more,
        )

    def _of_verbs(self, name, rule, instructions, check, make, more):
        groups = {"verbs": list(self.verbs)}
        return Task(
            family=self.family,
            name=f"{self.code}_{name}",
            rule=rule,
            group="verb",
            check=check,
            instructions=instructions,
            groups=groups,
            make=make,
            **more,
        )

    def negations(self, instructions, subjects, word, negate=None, check=None, where="before", **more):
        """The task of negating sentences: by `word` before the verb, unless `negate` does it otherwise."""
        make = negated(self.verbs, subjects, negate or (lambda verb: f"{word} {verb}"))
        rule = f"the sentence with “{word}” {where} its verb"
        return self._of_verbs("negation", rule, instructions, check or checks.inserted(word), make, more)

    def several(self, instructions, subjects, plural, check, **more):
        """The task of putting subject and verb of sentences into the plural."""
        rule = "subject and verb of a sentence in the plural"
        return self._of_verbs("they", rule, instructions, check, of_several(self.verbs, subjects, plural), more)
