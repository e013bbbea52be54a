"""Messages: short notes between people, out of which one detail is to be copied.

All tasks draw on the same messages, each of which has several details, so that what to copy follows from the
instruction.
"""

import checks
from core import Item, Task, ordered, pick

FIRST = """
Maria Peter Aisha Daniel Laura Kenji Fatima Oscar Julia Ivan Priya Thomas Elena Samuel Mei Robert Nadia Victor Ingrid
Hassan Sarah Diego Anna Patrick Yara Martin Leila Jonas Grace Pavel
""".split()
LAST = """
Keller Silva Brown Okafor Tanaka Novak Rossi Murphy Haddad Larsen Moreau Singh Fischer Costa Walker Kowalski Nguyen
Evans Petrov Romero Lindqvist Baker Osei Ferrari Hughes Yilmaz Sato Dubois Marsh Ortega
""".split()
CITIES = """
Lisbon Oslo Vienna Prague Dublin Athens Madrid Warsaw Helsinki Brussels Geneva Milan Hamburg Toronto Boston Denver
Chicago Seattle Nairobi Cairo Lagos Tokyo Osaka Seoul Mumbai Delhi Sydney Perth Lima Bogota Quito Havana Munich Lyon
Porto Seville Glasgow Leeds Bristol Cardiff Antwerp Zurich Krakow Riga Tallinn Vilnius Sofia Bucharest Istanbul Ankara
Dakar Tunis Casablanca Montreal Vancouver Dallas Houston Phoenix Atlanta Miami Naples Turin Venice Bologna Valencia
Bilbao Malaga Gdansk Bergen Utrecht Rotterdam Leipzig Cologne Salzburg Graz Basel Nice Bordeaux Toulouse Nantes Kyoto
Manila Hanoi Jakarta
""".split()
DOMAINS = "example.com example.org example.net mail.example office.example letters.example inbox.test firm.test".split()

# What the message is about; every thing suits every sentence.
THINGS = """
the contract; the parcel; the keys; the report; the tickets; the laptop; the sample; the invoice; the brochure; the
photos; the printer; the catalogue; the poster; the suitcase; the camera; the order form
""".replace("\n", " ").strip().split("; ")

# Each has a person, a city, a time, an e-mail address and a price in another order, or three of them.
FORMS = """
{person} will bring {thing} to {city} at {time}.
Please meet {person} at the station in {city} at {time} to collect {thing}.
At {time} {person} flies to {city} with {thing}.
{thing} costs {price}, and {person} sends it from {city} before {time}.
Write to {person} at {mail} if {thing} is not in {city} by {time}.
{person} paid {price} for {thing} in our shop in {city}.
Our office in {city} opens at {time}; ask for {person} or write to {mail}.
{thing} was left in {city}. {person} found it and asks for {price}, see {mail}.
The train from {city} arrives at {time}, and {person} will carry {thing}.
Send {thing} to {mail} before {time}, says {person} from {city}.
{person} moved to {city} and sells {thing} for {price}. Write to {mail}.
For {price} the courier takes {thing} to {city} by {time}. {person} will sign.
In {city} you can pick up {thing} from {person} at {time} for {price}.
Questions about {thing} go to {mail}; {person} answers from {city} until {time}.
The meeting in {city} starts at {time}. {person} presents {thing}.
{person} wants {price} back because {thing} never came to {city}; the address is {mail}.
""".strip().splitlines()

PARTS = (0, 5, 20, 45, 50, 75, 90, 99)
PRICES = [f"{sign}{whole}.{part:02d}" for sign in "$€£" for whole in range(3, 96) for part in PARTS]
TIMES = [f"{hour}:{minute:02d}" for hour in range(6, 23) for minute in range(0, 60, 5)]


def people():
    return {f"first {first}": [f"{first} {last}" for last in ordered(LAST, "last", first)[:8]] for first in FIRST}


def mails():
    """domain -> addresses."""
    return {
        domain: [
            pick([f"{f}.{l}", f"{f}_{l}", f"{f[0]}.{l}", f"{l}"], "mail", f, l).lower() + f"@{domain}"
            for f in FIRST for l in ordered(LAST, "mail of", f, domain)[:1]
        ]
        for domain in DOMAINS
    }


def unique(groups):
    """The strata without what an earlier one has."""
    seen = set()
    result = {}
    for name, all_of in groups.items():
        result[name] = [group for group in dict.fromkeys(all_of) if group not in seen]
        seen.update(all_of)
    return result


POOLS = {
    "person": [name for names in people().values() for name in names],
    "city": CITIES,
    "time": TIMES,
    "mail": [mail for all_of in unique(mails()).values() for mail in all_of],
    "price": PRICES,
}


def about(field):
    """A `make` for the task that asks for this detail; its values are the groups."""

    def make(groups):
        forms = [form for form in FORMS if "{" + field + "}" in form]
        for value in groups:
            for form in forms:
                details = {name: pick(pool, name, form, value) for name, pool in POOLS.items()}
                details[field] = value
                text = form.format(thing=pick(THINGS, "thing", form, value), **details)
                yield Item(value, text[0].upper() + text[1:], value)

    return make


def task(name, field, rule, groups, check, instructions, **more):
    return Task(
        family="messages",
        name=name,
        rule=rule,
        group="e-mail address" if field == "mail" else field,
        check=check,
        instructions=instructions,
        groups=groups,
        make=about(field),
        **more,
    )


TASKS = [
    task(
        "find_person", "person", "the name of the person, copied out of a message", people(),
        checks.found(r"(?!In )[A-Z]\w+ [A-Z]\w+"),
        [
            "Which person does this message name?",
            "Copy the person's name from the message.",
            "Find the full name of the person in this message.",
            "Who is mentioned in the message?",
            "Give only the person's first and last name.",
            "Extract the name of the person.",
        ],
    ),
    task(
        "find_city", "city", "the name of the city, copied out of a message", {"cities": CITIES},
        checks.found(r"[A-Z]\w+(?! [A-Z])", before=r"\b(?:[Ii]n|to|from) "),
        [
            "Which city does this message name?",
            "Copy the city's name from the message.",
            "Find the city in this message.",
            "What city is mentioned in the message?",
            "Give only the name of the city.",
            "Extract the name of the city.",
        ],
    ),
    task(
        "find_time", "time", "the time of day, copied out of a message", {"times": TIMES},
        checks.found(r"\d{1,2}:\d\d"),
        [
            "Which time of day does this message name?",
            "Copy the time of day from the message.",
            "Find the time in this message.",
            "What time is mentioned in the message?",
            "Give only the time of day.",
            "Extract the time of day.",
        ],
    ),
    task(
        "find_price", "price", "the sum of money, copied out of a message", {"prices": ordered(PRICES, "prices")[:240]},
        checks.found(r"[$€£]\d+\.\d\d", before=""),
        [
            "Which price does this message name?",
            "Copy the price from the message.",
            "Find the price in this message.",
            "What price is mentioned in the message?",
            "Give only the price.",
            "Extract the price.",
        ],
        held_out=True,
        transfer=(
            "the messages are those of `find_person`, `find_city` and `find_time`, and the instructions differ from "
            "theirs in one word. Their experts copy a detail and stop; a price is figures with a point as a time is "
            "figures with a colon, and its sign makes it stand out."
        ),
    ),
    task(
        "find_email", "mail", "the e-mail address, copied out of a message", unique(mails()),
        checks.found(r"[a-z._]+@[a-z.]+[a-z]"),
        [
            "Which e-mail address does this message name?",
            "Copy the e-mail address from the message.",
            "Find the e-mail address in this message.",
            "What e-mail address is mentioned in the message?",
            "Give only the e-mail address.",
            "Extract the e-mail address.",
        ],
        held_out=True,
        transfer=(
            "as for `find_price`: the messages and all but one word of the instructions are those of the trained "
            "tasks. An address is a longer copy than they made, letter by letter, at the only @ of the message."
        ),
    ),
]
