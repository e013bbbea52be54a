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
    """The keyword and the parsed condition of one line of Python, which has to be spaced as Python itself does."""
    keyword, end, text = re.fullmatch("(?:(assert)|if|elif|while) (.*?)(:?)", line).group(1, 3, 2)
    test = ast.parse(text, mode="eval").body
    if bool(keyword) == bool(end) or ast.unparse(test).replace("'", '"') != text:
        raise ValueError(line)
    return line.split(" ")[0], test


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
        and ast.unparse(after) == answer
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
    time = datetime.datetime.strptime(answer.upper(), "%I:%M %p")
    return time.strftime("%H:%M") == given and bool(re.fullmatch(r"[1-9]\d?:\d\d [ap]m", answer))


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
    without, times = re.subn(r"\b(ne |n')(\w+) pas\b", r"\2", answer)
    return times == 1 and without == given and not re.search(r"\bne [aeiouéêh]", answer)


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
    """The stem of a third person singular."""
    if third.endswith("ies"):
        return third[:-3] + "y"
    return third[:-2] if re.search("(ss|sh|ch|x|o)es$", third) else third[:-1]


def english_helper(helper):
    def check(given, answer):
        forms = (f"{subject} {helper} {stem_of(third)} {rest}." for subject, third, rest in split_at_verb(given))
        return answer in forms

    return check


def english_question(given, answer):
    forms = [f"Does {subject} {stem_of(third)} {rest}?" for subject, third, rest in split_at_verb(given)]
    # A name keeps its capital, "My" and "The" do not.
    same = [form for form in forms if form.casefold() == answer.casefold()]
    return answer.startswith("Does ") and bool(same) and answer.split()[1].istitle() == (given.split()[0] not in POINTERS)


POINTERS = ("My", "Your", "The")


def english_past(given, answer):
    for subject, third, rest in split_at_verb(given):
        stem = stem_of(third)
        regular = re.sub("([^aeiou])yed$", r"\1ied", stem + ("d" if stem[-1] == "e" else "ed"))
        if f"{subject} {regular} {rest}." == answer:
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


def found(pattern, before=r"(?<!\w)"):
    """The answer is the only part of the text that has this form and stands behind `before`."""
    return lambda given, answer: re.findall(f"{before}({pattern})(?!\\w)", given) == [answer]


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


# Words that one language has and the others have not.
LANGUAGE_WORDS = {
    "English": """
        small forgotten newspaper car waiting coffee saturdays shower water late looking sleeps letter station apples
        umbrella
    """.split(),
    "Spanish": """
        pequeña olvidado periódico coche esperando azúcar sábados ducha agua llega buen abierta escribe camino compró
        paraguas
    """.split(),
    "French": """
        petite oublié journal voiture attend sucre samedi douche froide rentre cherche ouverte écrit connaît pommes
        parapluie
    """.split(),
    "German": """
        wohnt vergessen zeitung auto wartet zucker samstag dusche kaltes spät sucht schläft brief kennt äpfel
        regenschirm
    """.split(),
    "Italian": """
        piccola dimenticato giornale macchina aspetta zucchero sabato doccia fredda torna cerca finestra lettera strada
        mele ombrello
    """.split(),
}


def language(given, answer):
    """The text has words of this language, and of no other."""
    words = set(re.findall(r"\w+", given.lower()))
    return {name for name, known in LANGUAGE_WORDS.items() if words & set(known)} == {answer}


def sentiment_of(good, bad):
    """Whether a good and a bad predicate stand in the text."""
    every_good = [one for all_of in good.values() for one in all_of]
    every_bad = [one for all_of in bad.values() for one in all_of]

    def check(given, answer):
        text = given.casefold()
        kinds = (any(one.casefold() in text for one in every_good), any(one.casefold() in text for one in every_bad))
        return answer == {(True, False): "positive", (False, True): "negative", (True, True): "mixed"}.get(kinds)

    return check
