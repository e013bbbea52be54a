"""Reviews: sentences by guests of restaurants and hotels, or by those who bought something, to be labelled.

A sentence is a subject and a predicate of one aspect. Every predicate fits every subject of its aspect.
"""

import checks
from core import Item, Task, digest, ordered, pick

from .product_words import PRODUCTS, PRODUCTS_BAD, PRODUCTS_GOOD, SPANISH, SPANISH_BAD, SPANISH_GOOD
from .review_words import CHECKABLE, FACTS, NEGATIVE, POSITIVE, SUBJECTS

NEUTRAL_OPENERS = ["", "", "", "At our hotel ", "In this hotel ", "When we were there, ", "As I remember, "]
ENGLISH_OPENERS = ["", "", "", "As I said, ", "To be honest, ", "In short, "]
SPANISH_OPENERS = ["", "", "", "La verdad es que ", "En resumen, ", "Como siempre, "]
SAME = ["{0}. {1}.", "{0}, and {1}.", "{0} and {1}.", "{0}, while {1}."]
OPPOSITE = ["{0}. {1}.", "{0}, but {1}.", "{0}. However, {1}.", "{0}, while {1}.", "{0}, yet {1}."]
SPANISH_SAME = ["{0}. {1}.", "{0}, y {1}.", "{0} y {1}."]
SPANISH_OPPOSITE = ["{0}. {1}.", "{0}, pero {1}.", "{0}. Sin embargo, {1}."]
FEWEST_SUBJECTS = 6


def sentence(text):
    """The text with capitals at the start of its sentences."""
    parts = text.split(". ")
    return ". ".join(part[0].upper() + part[1:] for part in parts)


def joined(forms, first, second):
    return sentence(pick(forms, "form", first, second).format(first, second))


def by_aspect(*kinds):
    """predicate -> its aspect."""
    return {predicate: aspect for kind in kinds for aspect, all_of in kind.items() for predicate in all_of}


def sentiment(subjects, positive, negative, openers=NEUTRAL_OPENERS, same=SAME, opposite=OPPOSITE):
    """A `make`. One clause, or two of different aspects: both good, both bad, or one of each (mixed)."""
    good, bad = by_aspect(positive), by_aspect(negative)

    def make(groups):
        clauses = []
        for predicate in groups:
            aspect, label = (good[predicate], "positive") if predicate in good else (bad[predicate], "negative")
            for subject in ordered(subjects[aspect], "subjects of", predicate)[:FEWEST_SUBJECTS]:
                clauses.append((predicate, aspect, label, f"{subject} {predicate}"))
        for predicate, aspect, label, clause in clauses:
            if digest("alone", clause) % 2:
                opener = pick(openers, "opener", clause)
                yield Item(predicate, sentence(f"{opener}{clause}."), label)
            others = [other for other in clauses if other[1] != aspect]
            for _, _, other_label, other in ordered(others, "partners", clause)[:8]:
                if other_label == label:
                    yield Item(predicate, joined(same, clause, other), label)
                else:
                    yield Item(predicate, joined(opposite, clause, other), "mixed")

    return make


def aspect_items(groups):
    """One clause; the subject is what no other split has."""
    aspects = {subject: aspect for aspect, all_of in SUBJECTS.items() for subject in all_of}
    for subject in groups:
        aspect = aspects[subject]
        for predicate in POSITIVE[aspect] + NEGATIVE[aspect] + FACTS[aspect]:
            opener = pick(NEUTRAL_OPENERS, "opener", subject, predicate)
            yield Item(subject, sentence(f"{opener}{subject} {predicate}."), aspect)


def fact_items(groups):
    opinions, facts = by_aspect(POSITIVE, NEGATIVE), by_aspect(FACTS)
    for predicate in groups:
        aspect, label = (facts[predicate], "fact") if predicate in facts else (opinions[predicate], "opinion")
        for subject in SUBJECTS[aspect]:
            opener = pick(NEUTRAL_OPENERS, "opener", subject, predicate)
            yield Item(predicate, sentence(f"{opener}{subject} {predicate}."), label)


def predicates(**kinds):
    """`kind aspect` -> predicates."""
    return {f"{name} {aspect}": all_of for name, kind in kinds.items() for aspect, all_of in kind.items()}


def without(unwanted, groups):
    return {stratum: [one for one in all_of if one not in unwanted] for stratum, all_of in groups.items()}


TASKS = [
    Task(
        family="reviews",
        name="sentiment",
        rule="whether a review is positive, negative or mixed",
        group="predicate (`tasted wonderful`), in either half of a sentence",
        check=checks.sentiment_of(POSITIVE, NEGATIVE),
        instructions=[
            "Is this review positive, negative or mixed?",
            "Label the review as positive, negative or mixed.",
            "Classify the guest's review: positive, negative or mixed.",
            "Was the guest's experience positive, negative or mixed?",
            "Choose the sentiment of this review: positive, negative or mixed.",
            "Say whether the reviewer's opinion is positive, negative or mixed.",
        ],
        groups=predicates(good=POSITIVE, bad=NEGATIVE),
        make=sentiment(SUBJECTS, POSITIVE, NEGATIVE),
        options=["positive", "negative", "mixed"],
    ),
    Task(
        family="reviews",
        name="aspect",
        rule="whether a review is about food, staff, price or place",
        group="subject (`the night porter`)",
        check=checks.aspect_of(SUBJECTS),
        instructions=[
            "Is this review about the food, the staff, the price or the place?",
            "Label the topic of the review as food, staff, price or place.",
            "What does the guest write about: food, staff, price or place?",
            "Choose the aspect that this review mentions: food, staff, price or place.",
            "Classify the guest's comment by topic: food, staff, price or place.",
            "Which topic is this review about, food, staff, price or place?",
        ],
        groups=SUBJECTS,
        make=aspect_items,
        options=["food", "staff", "price", "place"],
    ),
    Task(
        family="reviews",
        name="fact_or_opinion",
        rule="whether a review states a fact or an opinion",
        group="predicate",
        check=checks.fact_of(FACTS),
        instructions=[
            "Does this review sentence state a fact or an opinion?",
            "Label the guest's sentence as fact or opinion.",
            "Is the reviewer giving a fact or an opinion?",
            "Classify this sentence from a review: fact or opinion.",
            "Decide whether the guest reports a fact or an opinion.",
            "Fact or opinion? Choose for this review.",
        ],
        groups=without(CHECKABLE, predicates(good=POSITIVE, bad=NEGATIVE, fact=FACTS)),
        make=fact_items,
        options=["fact", "opinion"],
    ),
    Task(
        family="reviews",
        name="product_sentiment",
        rule="whether a review of something bought is positive, negative or mixed",
        group="predicate",
        check=checks.sentiment_of(PRODUCTS_GOOD, PRODUCTS_BAD),
        held_out=True,
        transfer=(
            "`sentiment` has the same labels, wording and build of sentences, about meals and rooms; here they are "
            "about kettles and parcels."
        ),
        instructions=[
            "Is this product review positive, negative or mixed?",
            "Label the product review as positive, negative or mixed.",
            "Classify the customer's review: positive, negative or mixed.",
            "Was the customer's experience positive, negative or mixed?",
            "Choose the sentiment of this product review: positive, negative or mixed.",
            "Say whether the customer's opinion is positive, negative or mixed.",
        ],
        groups=predicates(good=PRODUCTS_GOOD, bad=PRODUCTS_BAD),
        make=sentiment(PRODUCTS, PRODUCTS_GOOD, PRODUCTS_BAD, ENGLISH_OPENERS),
        options=["positive", "negative", "mixed"],
    ),
    Task(
        family="reviews",
        name="spanish_sentiment",
        rule="whether a review in Spanish is positive, negative or mixed",
        group="predicate",
        check=checks.sentiment_of(SPANISH_GOOD, SPANISH_BAD),
        held_out=True,
        transfer=(
            "`sentiment` has the labels, the wording and the subject (meals, staff and rooms), and many of the words "
            "that decide are cognates (“excelente”, “horrible”, “terrible”); the experts of `spanish` read the "
            "language."
        ),
        instructions=[
            "Is this Spanish review positive, negative or mixed?",
            "Label the Spanish review as positive, negative or mixed.",
            "Classify the guest's Spanish review: positive, negative or mixed.",
            "Was the Spanish guest's experience positive, negative or mixed?",
            "Choose the sentiment of this Spanish review: positive, negative or mixed.",
            "Say whether the opinion of this Spanish review is positive, negative or mixed.",
        ],
        groups=predicates(good=SPANISH_GOOD, bad=SPANISH_BAD),
        make=sentiment(SPANISH, SPANISH_GOOD, SPANISH_BAD, SPANISH_OPENERS, SPANISH_SAME, SPANISH_OPPOSITE),
        options=["positive", "negative", "mixed"],
    ),
]
