"""Figures: dates, times of day and sums of money, written another way."""

import checks
from core import Item, Task, ordered, pick

MONTHS = [
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
]
DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
YEARS = range(1900, 2030)


def dates():
    """month -> dates of that month as ISO text, a sample of all years; 29 February is left out."""
    result = {}
    for month, days in enumerate(DAYS, 1):
        every = [f"{year}-{month:02d}-{day:02d}" for year in YEARS for day in range(1, days + 1)]
        result[MONTHS[month - 1]] = ordered(every, "dates")[:240]
    return result


def date_items(groups):
    for iso in groups:
        year, month, day = iso.split("-")
        name, day = MONTHS[int(month) - 1], int(day)
        text = pick([f"{name} {day}, {year}", f"{day} {name} {year}"], "date form", iso)
        yield Item(iso, text, iso)


SPANISH_MONTHS = [
    "enero", "febrero", "marzo", "abril", "mayo", "junio",
    "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre",
]


def spanish_date_items(groups):
    for iso in groups:
        year, month, day = (int(part) for part in iso.split("-"))
        yield Item(iso, f"{day} de {SPANISH_MONTHS[month - 1]} de {year}", iso)


def times():
    """hour -> times of day of that hour."""
    return {f"{hour:02d}": [f"{hour:02d}:{minute:02d}" for minute in range(60)] for hour in range(24)}


def clock_items(groups):
    for time in groups:
        hour, minute = time.split(":")
        half = "am" if int(hour) < 12 else "pm"
        yield Item(time, time, f"{int(hour) % 12 or 12}:{minute} {half}")


# sign, unit, units, small unit, small units
CURRENCIES = [
    ("$", "dollar", "dollars", "cent", "cents"),
    ("£", "pound", "pounds", "penny", "pence"),
    ("€", "euro", "euros", "cent", "cents"),
]


def sums():
    """currency sign -> sums such as `$12.05`; half of them have fewer than ten small coins."""
    result = {}
    for sign, *_ in CURRENCIES:
        few = [f"{sign}{whole}.{part:02d}" for whole in range(1, 100) for part in range(1, 10)]
        many = [f"{sign}{whole}.{part:02d}" for whole in range(1, 100) for part in range(10, 100)]
        result[f"{sign} few"] = ordered(few, "money")[:400]
        result[f"{sign} many"] = ordered(many, "money")[:600]
    return result


def money_items(groups):
    words = {sign: names for sign, *names in CURRENCIES}
    for total in groups:
        whole, part = total[1:].split(".")
        one, more, small_one, small_more = words[total[0]]
        first = one if whole == "1" else more
        second = small_one if part == "01" else small_more
        yield Item(total, f"{whole} {first} and {int(part)} {second}", total)


TASKS = [
    Task(
        family="figures",
        name="iso_date",
        rule="dates in English as YYYY-MM-DD",
        group="date",
        check=checks.iso_date,
        instructions=[
            "Write this date in the ISO format YYYY-MM-DD.",
            "Turn the date into year-month-day digits.",
            "Give this date as YYYY-MM-DD.",
            "Convert the date to ISO 8601.",
            "Rewrite the date with digits only, year first.",
            "What is this date in the form YYYY-MM-DD?",
        ],
        groups=dates(),
        make=date_items,
    ),
    Task(
        family="figures",
        name="clock_12h",
        rule="times of the 24-hour clock with am or pm",
        group="time",
        check=checks.clock,
        instructions=[
            "Write this 24-hour time as a 12-hour time with am or pm.",
            "Convert the time to the 12-hour clock.",
            "Say this time with am or pm.",
            "Change the 24-hour clock time to am/pm time.",
            "What is this time on a 12-hour clock?",
            "Rewrite the time using am or pm.",
        ],
        groups=times(),
        make=clock_items,
    ),
    Task(
        family="figures",
        name="money",
        rule="sums of money in words as a price",
        group="sum",
        check=checks.money,
        instructions=[
            "Write this sum of money with a currency sign and two decimals.",
            "Write the amount in figures with its currency sign.",
            "Turn the amount into a price tag.",
            "How would this amount stand on a price tag?",
            "Give this amount as a decimal price with its sign.",
            "Shorten the sum to a price with a currency symbol.",
        ],
        groups=sums(),
        make=money_items,
    ),
    Task(
        family="figures",
        name="iso_date_es",
        rule="dates in Spanish as YYYY-MM-DD",
        group="date",
        check=checks.spanish_date,
        held_out=True,
        transfer=(
            "`iso_date` has the output, the wording and the order day, month, year; the months are cognates of the "
            "English ones (“marzo”, “octubre”), and the experts of `spanish` have seen that language around them."
        ),
        instructions=[
            "Write this Spanish date in the ISO format YYYY-MM-DD.",
            "Turn the Spanish date into year-month-day digits.",
            "Give this Spanish date as YYYY-MM-DD.",
            "Convert the Spanish date to ISO 8601.",
            "Rewrite the Spanish date with digits only, year first.",
            "What is this Spanish date in the form YYYY-MM-DD?",
        ],
        groups=dates(),
        make=spanish_date_items,
    ),
]
