"""Repair: sentences with mistakes of one kind, or of two, to be written correctly."""

import checks
from core import MAX_OUTPUT_CHARS, Item, Task, digest, ordered, pick

from .english import third

NAMES = """
Anna Peter Maria Tom Lucy Omar Grace Ben Sofia Jack Nina Hugo Emma Paul Rosa Leo Ivan Julia Karim Ella Felix Diana
""".split()
CITIES = "Paris Rome Oslo Lima Cairo Tokyo Berlin Madrid Athens London Dublin Boston Vienna Prague Lisbon Delhi".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()

# What people do, in a city or on a day.
PHRASES = """
visit the museum; meet the manager; buy a winter coat; sell old books; paint the bridge; look for a flat; learn to
swim; see the doctor; teach history; play the drums; take the bus; eat fresh bread; miss the train; find a wallet; lose
the keys; open a shop; close the office; build a boat; repair a bike; walk by the river; climb the tower; cook for
friends; drink strong tea; read the news; write a long letter; send a parcel; watch a film; hear the bells; dance all
night; sing in a choir; run a marathon; rent a car; drive a taxi; wait for a friend; call the police; help a tourist;
order a pizza; pay the rent; sign the contract; win a prize; study law; draw a map; take photos; feed the ducks; wash
the car; plant a tree; pick some flowers; leave the hotel; cross the square; change some money; print the tickets;
collect stamps; clean the windows; move the piano; lead a tour; judge a contest; guard the palace; bake a cake; wear a
red hat; ride a horse; fly a kite; catch a cold; break a glass; carry two bags; drop the phone; skip lunch; check the
list; forget the time; prepare a speech; join a club; borrow a tent; copy a key; tell a joke; tune a guitar; weigh the
fruit; fix the roof; hire a guide; pack the boxes; sweep the yard; cut the hedge
""".replace("\n", " ").strip().split("; ")

FORMS = [
    "{name} {does} in {city}.", "On {day} {name} {does}.", "In {city} {name} {does}.", "{name} {does} on {day}.",
    "Every {day} {name} {does}.", "{name} and {other} {do}.", "{name} never {does} in {city}.",
]


def filled(form, phrase, turn):
    """The sentence of this form about the phrase."""
    verb, rest = phrase.split(" ", 1)
    name, other = ordered(NAMES, "names", form, phrase, turn)[:2]
    return form.format(
        name=name,
        other=other,
        city=pick(CITIES, "city", form, phrase, turn),
        day=pick(DAYS, "day", form, phrase, turn),
        do=phrase,
        does=f"{third(verb)} {rest}",
    )


def sentences(groups):
    """(phrase, sentence), three times in every form."""
    for phrase in groups:
        for form in FORMS:
            for turn in range(3):
                sentence = filled(form, phrase, turn)
                if len(sentence) <= MAX_OUTPUT_CHARS:
                    yield phrase, sentence


def doubled(sentence):
    """The sentence with one of its words twice, neither the first nor the last."""
    words = sentence.split(" ")
    at = 1 + digest("doubled", sentence) % (len(words) - 2)
    return " ".join(words[: at + 1] + words[at:])


def small_items(groups):
    for phrase, sentence in sentences(groups):
        yield Item(phrase, sentence.lower(), sentence)


def doubled_items(groups):
    for phrase, sentence in sentences(groups):
        yield Item(phrase, doubled(sentence), sentence)


def both_items(groups):
    for phrase, sentence in sentences(groups):
        yield Item(phrase, doubled(sentence).lower(), sentence)


def task(name, rule, make, check, instructions, **more):
    return Task(
        family="repair", name=name, rule=rule, group="activity", check=check, instructions=instructions,
        groups={"phrases": PHRASES}, make=make, **more,
    )


TASKS = [
    task(
        "capitals", "capitals at the start of a sentence and of names", small_items, checks.capitals_put_back,
        [
            "Correct this sentence: put the missing capital letters.",
            "Write the sentence with capital letters where they belong.",
            "Fix the capital letters of this sentence.",
            "Repair the sentence, which has no capital letters.",
            "Copy the sentence and capitalise names and the first word.",
            "Where do capital letters belong? Rewrite the sentence.",
        ],
    ),
    task(
        "doubled_word", "the sentence without the word that stands twice", doubled_items, checks.one_word_less,
        [
            "Correct this sentence: remove the doubled word.",
            "Write the sentence without the word that stands twice.",
            "Fix the repeated word of this sentence.",
            "Repair the sentence, which has one word twice.",
            "Copy the sentence and leave out the repeated word.",
            "Which word is doubled? Rewrite the sentence without it.",
        ],
    ),
    task(
        "doubled_and_small", "capitals put back and a doubled word removed", both_items,
        lambda given, answer: checks.one_word_less(given, answer.lower()) and answer[0].isupper(),
        [
            "Correct this sentence: put the missing capital letters and remove the doubled word.",
            "Write the sentence with capital letters and without the word that stands twice.",
            "Fix the capital letters and the repeated word of this sentence.",
            "Repair the sentence, which has no capital letters and one word twice.",
            "Copy the sentence with capital letters and leave out the repeated word.",
        ],
        held_out=True,
        transfer=(
            "it is `capitals` and `doubled_word` at once, on sentences of the same build; its instructions join "
            "theirs. Each of the two experts repairs one half, so that it takes both."
        ),
    ),
]
