"""Whether an output follows from an input, decided another way than the generators make it.

A check of exact answers goes backwards, by pattern or by Python's own parser; one of labels looks for words.
"""

import ast
import datetime
import re


# Code


def camel_case(given, answer):
    apart = re.sub(r"(?<!^)([A-Z])", lambda found: "_" + found[1].lower(), answer)
    return re.sub(r"[-_]", "_", given) == apart and "_" not in answer


def condition(line):
    """The parsed condition of one line of Python."""
    keyword, rest = line.split(" ", 1)
    if keyword == "assert":
        return keyword, ast.parse(rest, mode="eval").body
    return keyword, ast.parse(f"if {rest}\n    pass").body[0].test


NEGATED = {
    ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}


def negated_python(given, answer):
    (keyword, before), (other, after) = condition(given), condition(answer)
    if keyword != other:
        return False
    if isinstance(before, ast.Compare):
        before.ops = [NEGATED[type(op)]() for op in before.ops]
    elif isinstance(before, ast.UnaryOp):
        before = before.operand
    else:
        before = ast.UnaryOp(ast.Not(), before)
    return ast.dump(before) == ast.dump(after)


def negated_c(given, answer):
    """By trying numbers around the limit, of which exactly one of both conditions has to hold."""
    before, after = (re.fullmatch(r"(.*)\((\w+) (\S+) (\d+)\) \{", line) for line in (given, answer))
    if not before or not after or before.group(1, 2, 4) != after.group(1, 2, 4):
        return False
    holds = {
        "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
        "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
    }
    limit = int(before[4])
    return all(holds[before[3]](n, limit) != holds[after[3]](n, limit) for n in (limit - 1, limit, limit + 1))


def augmented(given, answer):
    before, after = ast.parse(given).body[0], ast.parse(answer).body[0]
    return (
        isinstance(after, ast.AugAssign)
        and ast.dump(before.targets[0]) == ast.dump(after.target)
        and before.value.left.id == after.target.id
        and type(before.value.op) is type(after.op)
        and ast.dump(before.value.right) == ast.dump(after.value)
    )


# Figures


def iso_date(given, answer):
    for form in ("%B %d, %Y", "%d %B %Y"):
        try:
            return datetime.datetime.strptime(given, form).date().isoformat() == answer
        except ValueError:
            continue
    return False


SPANISH_MONTHS = "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split()


def spanish_date(given, answer):
    date = datetime.date.fromisoformat(answer)
    return given == f"{date.day} de {SPANISH_MONTHS[date.month - 1]} de {date.year}"


def clock(given, answer):
    return datetime.datetime.strptime(answer.upper(), "%I:%M %p").strftime("%H:%M") == given and answer[0] != "0"


def money(given, answer):
    whole, part = (int(number) for number in re.findall(r"\d+", given))
    sign = {"d": "$", "p": "£", "e": "€"}[given.split()[1][0]]
    return answer[0] == sign and round(float(answer[1:]) * 100) == whole * 100 + part and answer[-3] == "."


# Languages


def inserted(word):
    """The answer is the input with this word after the subject."""

    def check(given, answer):
        words = answer.split(" ")
        rest = [other for other in words if other != word]
        return words.count(word) == 1 and words.index(word) in (1, 2, 3) and rest == given.split(" ")

    return check


def by_words(endings, determiners):
    """A determiner and its plural, then two words of which each has the plural ending for its own: that of the first
    pair (singular ending, plural ending) that fits it."""

    def is_plural(one, many):
        old, new = next(pair for pair in endings if one.endswith(pair[0]))
        return many.endswith(new) and one[: len(one) - len(old)] == many[: len(many) - len(new)]

    def check(given, answer):
        for one, many in determiners.items():
            if given.startswith(one + " ") and answer.startswith(many + " "):
                words, plurals = given[len(one) + 1 :].split(), answer[len(many) + 1 :].split()
                return len(words) == len(plurals) == 2 and all(map(is_plural, words, plurals))
        return False

    return check


spanish_plural = by_words(
    [
        ("z", "ces"), ("amen", "ámenes"), ("án", "anes"), ("én", "enes"), ("ín", "ines"), ("ón", "ones"),
        ("ún", "unes"), ("és", "eses"), ("s", "ses"), ("l", "les"), ("r", "res"), ("n", "nes"), ("j", "jes"),
        ("d", "des"), ("", "s"),
    ],
    {"el": "los", "un": "unos", "este": "estos", "la": "las", "una": "unas", "esta": "estas"},
)
french_plural = by_words(
    [("s", "s"), ("x", "x"), ("eau", "eaux"), ("al", "aux"), ("", "s")],
    {"le": "les", "un": "des", "ce": "ces", "la": "les", "une": "des", "cette": "ces"},
)
italian_plural = by_words(
    [("co", "chi"), ("go", "ghi"), ("ca", "che"), ("ga", "ghe"), ("o", "i"), ("e", "i"), ("a", "e")],
    {"il nostro": "i nostri", "la nostra": "le nostre", "il": "i", "questo": "questi", "la": "le", "questa": "queste"},
)
portuguese_plural = by_words(
    [("r", "res"), ("z", "zes"), ("", "s")],
    {"o": "os", "um": "uns", "este": "estes", "a": "as", "uma": "umas", "esta": "estas"},
)


def french_negation(given, answer):
    without = re.sub(r"\b(ne |n')(\w+) pas\b", r"\2", answer, count=1)
    return without == given and not re.search(r"\bne [aeiouéêh]", answer)


def subject_and_verb(subjects, verbs):
    def check(given, answer):
        for one, many in subjects:
            if given.startswith(one + " ") and answer.startswith(many + " "):
                (verb, *rest), (verbs_many, *rest_many) = given[len(one) + 1 :].split(), answer[len(many) + 1 :].split()
                return rest == rest_many and bool(rest) and verbs(verb, verbs_many)
        return False

    return check


spanish_they = subject_and_verb(
    [("Él", "Ellos"), ("Ella", "Ellas"), ("Usted", "Ustedes")], lambda one, many: many == one + "n" and one[-1] in "aeé"
)
french_they = subject_and_verb(
    [("Il", "Ils"), ("Elle", "Elles"), ("Ce garçon", "Ces garçons"), ("Cette fille", "Ces filles")],
    lambda one, many: one[-1] == "e" and many == one + "nt",
)
italian_they = subject_and_verb(
    [("Lui", "Loro"), ("Lei", "Loro"), ("Questo ragazzo", "Questi ragazzi"), ("Questa ragazza", "Queste ragazze")],
    lambda one, many: (many[-3:] == "ano" and many[:-2] == one) or (many[-3:] == "ono" and many[:-3] + "e" == one),
)


def stem_of(third):
    """The stems that a third person singular may have."""
    ways = (("ies", "y"), ("es", ""), ("s", ""))
    return [third[: len(third) - len(old)] + new for old, new in ways if third.endswith(old)]


def english_helper(helper):
    def check(given, answer):
        subject, _, rest = answer.partition(f" {helper} ")
        verb, _, more = rest.partition(" ")
        return any(f"{subject} {third} {more}" == given for third in (verb + "s", verb + "es", verb[:-1] + "ies"))

    return check


def english_question(given, answer):
    return answer.startswith("Does ") and answer[-1] == "?" and any(
        f"Does {subject} {stem} {rest}?".casefold() == answer.casefold()
        for subject, third, rest in split_at_verb(given) for stem in stem_of(third)
    )


def english_past(given, answer):
    for subject, third, rest in split_at_verb(given):
        for stem in stem_of(third):
            forms = (stem + "ed", stem + "d" if stem[-1] == "e" else "", stem[:-1] + "ied" if stem[-1] == "y" else "")
            if any(form and f"{subject} {form} {rest}." == answer for form in forms):
                return True
    return False


def split_at_verb(sentence):
    """(subject, verb, rest) at every word that may be a third person."""
    words = sentence.rstrip(".").split(" ")
    return [
        (" ".join(words[:at]), words[at], " ".join(words[at + 1 :]))
        for at in range(1, len(words) - 1)
        if words[at].endswith("s")
    ]


# Copies out of texts


def found(pattern):
    """The answer has this form and stands in the text once."""
    return lambda given, answer: bool(re.fullmatch(pattern, answer)) and given.count(answer) == 1


def backwards(given, answer):
    words = answer.split(", ")
    words.reverse()
    return ", ".join(words) == given and len(words) > 2


# Repairs


def capitals_put_back(given, answer):
    return given == answer.lower() and answer[0].isupper() and len(re.findall(r"[A-Z]", answer)) >= 2


def one_word_less(given, answer):
    words, fewer = given.split(" "), answer.split(" ")
    return any(words[:at] + words[at + 1 :] == fewer and words[at] == words[at - 1] for at in range(1, len(words)))


# Labels


def contained(words_of):
    """The words of the answer's label, and of no other, stand in the text."""

    def check(given, answer):
        labels = {label for label, words in words_of.items() if any(word in given for word in words)}
        return labels == {answer}

    return check


def topic_of(topics):
    return contained({topic: predicates.split("; ") for topic, (_, predicates) in topics.items()})


def aspect_of(subjects):
    """The longest subject that stands in the text is of the answer's aspect."""
    aspects = {subject: aspect for aspect, all_of in subjects.items() for subject in all_of}

    def check(given, answer):
        text = given.casefold()
        return aspects[max((subject for subject in aspects if subject.casefold() in text), key=len)] == answer

    return check


def fact_of(facts):
    every = [fact for all_of in facts.values() for fact in all_of]
    return lambda given, answer: any(fact in given for fact in every) == (answer == "fact")


LANGUAGE_WORDS = {
    "English": """
        the my our your has is does in a of with to for home on under this knows wants lost bought young man
    """.split(),
    "Spanish": """
        el los un mi tu una casa está ha por quiere ducha señora joven nuestro trabaja también café sin con niña
        tía manzanas tres perdió compró carta llega tarde buen busca olvidado
    """.split(),
    "French": """
        le les mon ma ton une du sous au aussi veut de notre homme jeune dame vieille attend lit fille bon
        touriste trois pommes sans sucre longue maison parapluie ami nouvelle oublié dort aime
    """.split(),
    "German": """
        der die das den mein meine dein unser ein einem einen ohne auf unter auch am zum hat mag will bei drei
        spät nach gutes haus
    """.split(),
    "Italian": """
        il lo mio mia tuo vive legge vuole aspetta beve senza lavora anche sotto non torna tardi cerca dorme
        scrive lunga conosce strada ha tre mele perso nuova una un fornaio ragazza piccola vecchia nostro medico
        della
    """.split(),
}


def language(given, answer):
    """No language has more of its common words in the text."""
    words = re.findall(r"\w+", given.lower())
    counts = {name: sum(word in known for word in words) for name, known in LANGUAGE_WORDS.items()}
    return counts[answer] == max(counts.values())


def sentiment_of(good, bad):
    """Whether a good and a bad predicate stand in the text."""
    every_good = [one for all_of in good.values() for one in all_of]
    every_bad = [one for all_of in bad.values() for one in all_of]

    def check(given, answer):
        text = given.casefold()
        kinds = (any(one.casefold() in text for one in every_good), any(one.casefold() in text for one in every_bad))
        return answer == {(True, False): "positive", (False, True): "negative", (True, True): "mixed"}.get(kinds)

    return check
