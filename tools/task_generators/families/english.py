"""English: sentences in the simple present, put into another form by helping verbs and endings."""

import checks
from core import Item, Task, ordered

from .phrases import verb_table

# Stem, then what may follow; the past of all of them is regular.
VERBS = verb_table("""
open: the shop / the window / a letter
close: the door / the curtains / the office
clean: the kitchen / the stairs / the car
cook: the dinner / rice / on Sundays
paint: the fence / a picture / the wall
walk: to school / along the river / very slowly
play: the piano / in the garden / chess
work: in a bank / at night / on the farm
live: in Boston / near the sea / on the third floor
like: music / cold weather / the new teacher
love: the sea / old films / long walks
hate: noise / the rain / early meetings
need: a pencil / more time / some help
want: another coffee / a new bike / the window seat
use: a hammer / the old phone / the stairs
visit: the museum / an old friend / the castle
invite: the neighbours / the whole class / a singer
help: the old man / in the kitchen / the tourists
call: the doctor / the police / from the station
answer: the phone / the question / every letter
ask: the teacher / a question / for help
listen: to the radio / at the door / to the news
look: at the map / out of the window / very tired
watch: the news / the birds / a film
wait: for the bus / at the corner / in the hall
talk: to the driver / about football / too much
travel: by train / to Italy / in the summer
arrive: at nine / by boat / with a suitcase
stay: at home / in a hotel / until midnight
move: the table / to Leeds / the chairs
carry: the boxes / a heavy bag / the baby
study: medicine / at night / the old maps
copy: the recipe / the whole page / the drawing
hurry: to the station / down the stairs / after lunch
worry: about the exam / at night / about money
cry: at the cinema / after the match / for joy
fry: the eggs / the fish / some onions
try: the soup / the red shoes / another key
enjoy: the party / the long journey / the silence
repair: the roof / old clocks / the bicycle
plant: roses / an apple tree / the potatoes
water: the flowers / the lawn / the tomatoes
wash: the dishes / the windows / in cold water
brush: the horse / the carpet / the long coat
finish: the report / at six / the race
push: the trolley / the car / the heavy door
pull: the rope / the curtain / the sledge
lift: the box / a stone / the lid
climb: the tree / the stairs / the hill
jump: over the wall / into the pool / for joy
cross: the street / the river / the bridge
pass: the exam / the salt / the old mill
miss: the train / the old house / the meeting
dance: in the kitchen / on Saturdays / with the queen
smile: at the baby / in the photo / very shyly
laugh: at the joke / in the library / too loudly
shout: at the dog / across the street / from the roof
whisper: the answer / in the dark / to the cat
collect: stamps / the tickets / old coins
count: the sheep / the money / to a hundred
order: the fish / two coffees / a large pizza
taste: the sauce / the wine / every cake
mix: the colours / the flour / a drink
bake: a cake / the bread / every Friday
borrow: a ladder / some sugar / the red umbrella
return: the books / in October / to the village
remember: the song / the date / every name
explain: the rules / the plan / the problem
describe: the thief / the garden / a dream
repeat: the question / the first line / the exercise
learn: Spanish / the poem / from the book
change: the lamp / the date / at the airport
save: some money / the file / the kitten
pack: the suitcase / the lunch / the books
print: the photos / the tickets / the map
sign: the contract / the card / the form
post: the letter / a parcel / the card
deliver: the newspapers / the parcel / fresh bread
park: the van / behind the church / near the gate
check: the list / the tyres / the answers
measure: the room / the flour / the window
guard: the gate / the treasure / the sheep
follow: the path / the guide / the rules
join: the choir / the army / the queue
record: the song / the birds / the meeting
train: the dog / on Mondays / the new staff
sail: to Malta / on the lake / at dawn
knock: on the door / three times / very softly
trust: the doctor / the old map / the pilot
obey: the captain / the rules / the signal
offer: a seat / some help / a low price
polish: the shoes / the silver / the floor
search: the house / for gold / under the bed
share: the cake / a room / the news
""")

SUBJECTS = (
    "Anna Peter Maria Tom Lucy Omar Grace Ben Sofia Jack Nina Hugo Emma Paul Rosa Leo".split()
    + ["My brother", "My sister", "The neighbour", "The teacher", "The baker", "The old man", "Your cousin"]
    + ["The doctor"]
)


def third(stem):
    """Third person singular of the present."""
    if stem.endswith("y") and stem[-2] not in "aeiou":
        return stem[:-1] + "ies"
    return stem + ("es" if stem.endswith(("s", "sh", "ch", "x", "o")) else "s")


def past(stem):
    if stem.endswith("e"):
        return stem + "d"
    if stem.endswith("y") and stem[-2] not in "aeiou":
        return stem[:-1] + "ied"
    return stem + "ed"


def within(subject):
    """The subject inside a sentence: names keep their capital."""
    return subject[0].lower() + subject[1:] if " " in subject else subject


def sentences(form):
    """A `make`: five subjects for every verb and what follows it; `form` gives the other sentence without its end."""

    def make(groups):
        for stem in groups:
            for rest in VERBS[stem]:
                fitting = [subject for subject in SUBJECTS if within(subject) not in rest]
                for subject in ordered(fitting, "subject", stem, rest)[:5]:
                    yield Item(stem, f"{subject} {third(stem)} {rest}.", form(subject, stem, rest))

    return make


def task(name, rule, form, check, instructions, **more):
    return Task(
        family="english", name=name, rule=rule, group="verb", check=check, instructions=instructions,
        groups={"verbs": list(VERBS)}, make=sentences(form), **more,
    )


TASKS = [
    task(
        "en_past", "the sentence in the simple past", lambda s, v, rest: f"{s} {past(v)} {rest}.", checks.english_past,
        [
            "Rewrite this sentence in the past tense.",
            "Put the sentence into the past.",
            "Change the verb of this sentence to the past tense.",
            "Write the sentence as if it happened yesterday.",
            "Give the past tense of this sentence.",
            "Turn the present tense into the past tense.",
        ],
    ),
    task(
        "en_negation", "the sentence with “does not”", lambda s, v, rest: f"{s} does not {v} {rest}.",
        checks.english_helper("does not"),
        [
            "Rewrite this sentence with \"does not\".",
            "Put the sentence into the negative.",
            "Change this sentence so that it says the opposite.",
            "Make the sentence negative with \"does not\".",
            "Give the negative form of this sentence.",
            "Turn the statement into a negative one.",
        ],
    ),
    task(
        "en_question", "the statement as a question with “does”", lambda s, v, rest: f"Does {within(s)} {v} {rest}?",
        checks.english_question,
        [
            "Rewrite this sentence as a question with \"does\".",
            "Put the sentence into the form of a question.",
            "Change this statement so that it asks.",
            "Make a yes-or-no question out of the sentence.",
            "Give the question that belongs to this sentence.",
            "Turn the statement into a question.",
        ],
    ),
    task(
        "en_future", "the sentence with “will”", lambda s, v, rest: f"{s} will {v} {rest}.",
        checks.english_helper("will"),
        [
            "Rewrite this sentence with \"will\".",
            "Put the sentence into the future with \"will\".",
            "Change this sentence so that it speaks of tomorrow.",
            "Make the sentence say what will happen.",
            "Give the future form of this sentence.",
            "Turn the present tense into the future with \"will\".",
        ],
        held_out=True,
        transfer=(
            "`en_negation` puts a helping verb before the verb and takes the ending off it in the same sentences, "
            "and `en_past` changes the tense; here the helping verb is “will”, which most phrasings name, and the "
            "rest is the same."
        ),
    ),
]
