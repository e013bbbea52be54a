"""What the families of languages share: tables of nouns and verbs, and the items made of them."""

from core import Item, ordered, pick


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
