"""Code: identifiers and single lines of Python or C, rewritten by a rule."""

import checks
from core import Item, Task, pick

FIRST = """
max min total last first next old new user default current active local remote main temp raw base global internal
public hidden daily monthly average previous selected pending expected final inner outer initial shared target
source parent child custom primary backup cached
""".split()

NOUN = """
account address alarm album answer archive article asset author badge balance banner batch block board book border
branch bucket budget buffer button calendar camera card cart category channel chapter chart client clock column
comment company contact content contract country coupon course customer dashboard database delivery device dialog
discount document domain download driver editor email employee engine entry error event export factory feature
field file filter folder font footer frame gallery game grid group guest header hotel image import index invoice
item job keyboard label language layer layout lesson letter level library license link list location lock logger
machine market member memory menu message meter method minute model module month movie network node note number
object offer office order owner package page panel parser partner password patient payment phone photo picture
pipeline pixel planet player plugin point policy price printer process product profile project query queue
question record region report request response result retry review reward room route row sample scene schedule
schema school screen script search season sensor server session shape sheet signal socket song stage station
status step storage store stream string student style subject summary system tag task team template tenant
terminal test text theme thread ticket timer title token tool topic track train transfer tree trigger upload
vector vehicle vendor version video voice wallet warehouse weather widget window winner worker
""".split()

LAST = """
id name count size path type key date time list map code limit value color width height status index format
length offset total rate state title label order version owner
""".split()


def identifier_items(groups):
    for noun in groups:
        for first in FIRST:
            yield identifier(noun, first, noun)
            for last in LAST:
                if last != noun:
                    yield identifier(noun, first, noun, last)
        for last in LAST:
            if last != noun:
                yield identifier(noun, noun, last)


def identifier(group, *words):
    camel = words[0] + "".join(word.capitalize() for word in words[1:])
    return Item(group, "_".join(words), camel)


# Names that hold a number.
NUMBERS = """
count total score balance price speed width height depth age weight distance level lives health energy stock budget
points retries attempts errors warnings pages rows columns items_left visits clicks views likes seconds minutes hours
days weeks months years temperature pressure humidity volume length size offset index position x y radius angle area
salary bonus tax discount fee debt income profit loss revenue cost rent rate ratio factor delay timeout duration
interval capacity load usage memory free_space bytes_sent bytes_read tokens words chars lines votes guests seats
tickets orders sales refunds users players teams goals wins losses streak rank floor rooms beds steps laps calories
altitude latitude longitude brightness contrast opacity zoom scale margin padding gap row_height line_width page_size
battery voltage current power fuel mileage passengers cargo crew boxes pallets apples coins gems gold wood stone food
population births rainfall wind_speed depth_limit max_depth word_count line_count user_count page_count
error_count retry_count file_size cart_total unit_price order_total step_size batch_size queue_size tree_height
""".split()

# Names that hold a word from a small set, with values that fit.
WORDS = {
    ("status", "order_status", "job_state", "task_state", "ticket_status", "payment_status", "build_status"):
        ["open", "closed", "done", "failed", "pending"],
    ("mode", "run_mode", "drive_mode", "edit_mode", "game_mode", "scan_mode"): ["auto", "manual", "fast", "safe"],
    ("role", "user_role", "member_role", "account_role", "team_role"): ["admin", "guest", "owner", "editor"],
    ("color", "border_color", "text_color", "background", "car_color"): ["red", "blue", "black", "white"],
    ("language", "lang", "locale", "user_lang", "page_lang"): ["en", "fr", "de", "es"],
    ("command", "action", "answer", "choice", "reply", "user_input"): ["start", "stop", "quit", "help"],
    ("size_label", "shirt_size", "cup_size", "pizza_size", "icon_size"): ["small", "medium", "large"],
    ("weekday", "day_name", "today", "first_day"): ["Monday", "Friday", "Sunday"],
    ("direction", "heading", "wind_from"): ["north", "south", "east", "west"],
    ("city", "home_town", "capital", "destination"): ["Oslo", "Paris", "Rome", "Lima"],
}

# Names that may hold nothing.
OBJECTS = """
user parent result response session connection config logger cache_entry token cursor callback handler document
customer message socket thread node root owner manager address photo next_page last_error database template
""".split()

# Names that are true or false.
FLAGS = """
ready done active visible enabled connected paused finished empty valid is_open is_admin is_new has_access has_errors
verbose debug dirty locked online logged_in found changed expired
""".split()

# A thing and a collection it may be in.
MEMBERS = {
    "key": "cache", "name": "names", "word": "stop_words", "city": "capitals", "item": "cart", "path": "visited",
    "email": "blocked", "tag": "tags", "letter": "vowels", "color_name": "palette", "user_id": "members",
    "file_name": "skipped", "option": "options", "host": "allowed_hosts", "ext": "extensions", "code": "codes",
    "student": "class_list", "product": "catalog", "field": "required", "symbol": "alphabet",
}

OPPOSITE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}
LIMITS = [0, 1, 2, 3, 5, 7, 8, 10, 12, 15, 18, 20, 24, 25, 30, 40, 50, 60, 64, 75, 80, 90, 99, 100]


def condition_groups():
    return {
        "numbers": NUMBERS,
        "words": [name for names in WORDS for name in names],
        "objects": [f"{name} is None" for name in OBJECTS],
        "flags": FLAGS,
        "members": [f"{name} in {many}" for name, many in MEMBERS.items()],
    }


def condition_items(groups):
    values = {name: words for names, words in WORDS.items() for name in names}
    for group in groups:
        for keyword in ("if", "while", "elif", "assert"):
            end = "" if keyword == "assert" else ":"
            for test, negated in tests(group, values.get(group)):
                yield Item(group, f"{keyword} {test}{end}", f"{keyword} {negated}{end}")


def tests(group, words):
    """(test, its negation) for one name."""
    if group.endswith(" is None"):
        name = group[: -len(" is None")]
        return [(f"{name} is None", f"{name} is not None"), (f"{name} is not None", f"{name} is None")]
    if " in " in group:
        name, many = group.split(" in ")
        return [(f"{name} in {many}", f"{name} not in {many}"), (f"{name} not in {many}", f"{name} in {many}")]
    if group in FLAGS:
        return [(group, f"not {group}"), (f"not {group}", group)]
    if words:
        return [(f'{group} {op} "{w}"', f'{group} {OPPOSITE[op]} "{w}"') for w in words for op in ("==", "!=")]
    return [
        (f"{group} {op} {limit}", f"{group} {OPPOSITE[op]} {limit}")
        for op in OPPOSITE
        for limit in {pick(LIMITS, group, op, turn) for turn in range(4)}
    ]


def kebab_items(groups):
    for item in identifier_items(groups):
        yield Item(item.group, item.input.replace("_", "-"), item.output)


def c_condition_items(groups):
    for name in groups:
        for keyword in ("if", "while", "} else if"):
            for test, negated in tests(name, None):
                yield Item(name, f"{keyword} ({test}) {{", f"{keyword} ({negated}) {{")


OPERATORS = ["+", "-", "*", "/", "//", "%"]
OPERANDS = "1 2 3 4 5 8 10 16 50 100 step delta amount value extra n k bonus change part size".split()


def assignment_items(groups):
    for name in groups:
        for operator in OPERATORS:
            for operand in OPERANDS:
                if operand == name or (operand == "1" and operator in ("*", "/", "//", "%")):
                    continue
                yield Item(name, f"{name} = {name} {operator} {operand}", f"{name} {operator}= {operand}")


TASKS = [
    Task(
        family="code",
        name="camel_case",
        rule="snake_case identifiers in camelCase",
        group="noun inside the identifier (`retry` in `max_retry_count`)",
        check=checks.camel_case,
        instructions=[
            "Rewrite this snake_case identifier in camelCase.",
            "Convert the variable name to camelCase.",
            "Rename the variable from snake_case to camelCase.",
            "Give the camelCase form of this identifier.",
            "Write this Python name the JavaScript way, in camelCase.",
            "Remove the underscores and use camelCase.",
        ],
        groups={"nouns": NOUN},
        make=identifier_items,
    ),
    Task(
        family="code",
        name="negate_condition",
        rule="the condition of a line of Python, negated",
        group="name of a variable",
        check=checks.negated_python,
        instructions=[
            "Negate the condition in this line of Python.",
            "Invert the test in this Python code.",
            "Rewrite the Python line so that it tests the opposite.",
            "Flip the condition of this statement.",
            "Write the same code with the condition negated.",
            "Reverse the comparison in this line of code.",
        ],
        groups=condition_groups(),
        make=condition_items,
    ),
    Task(
        family="code",
        name="augmented_assignment",
        rule="`x = x + y` as `x += y`",
        group="name of a variable",
        check=checks.augmented,
        instructions=[
            "Shorten this Python line with an augmented assignment operator.",
            "Rewrite the assignment with an operator such as +=.",
            "Use the compound assignment operator in this code.",
            "Write this Python statement in its short form.",
            "Simplify the assignment in this line of code.",
            "Refactor the line to use an in-place operator.",
        ],
        groups={"names": NUMBERS},
        make=assignment_items,
    ),
    Task(
        family="code",
        name="kebab_to_camel",
        rule="kebab-case names in camelCase",
        group="noun inside the name",
        check=checks.camel_case,
        held_out=True,
        transfer=(
            "`camel_case` gives the same output for the same words and is asked in nearly the same words; only the "
            "sign between the words is another."
        ),
        instructions=[
            "Rewrite this kebab-case name in camelCase.",
            "Convert the CSS property to camelCase.",
            "Rename the property from kebab-case to camelCase.",
            "Give the camelCase form of this name.",
            "Write this CSS name the JavaScript way, in camelCase.",
            "Remove the hyphens and use camelCase.",
        ],
        groups={"nouns": NOUN},
        make=kebab_items,
    ),
    Task(
        family="code",
        name="negate_c",
        rule="the condition of a line of C, negated",
        group="name of a variable",
        check=checks.negated_c,
        held_out=True,
        transfer=(
            "the operators and what negates them are those of `negate_condition`, and so is the wording; the line "
            "has the parentheses and braces of C around them, which are copied."
        ),
        instructions=[
            "Negate the condition in this line of C.",
            "Invert the test in this C code.",
            "Rewrite the C line so that it tests the opposite.",
            "Flip the condition of this C statement.",
            "Write the same C code with the condition negated.",
            "Reverse the comparison in this line of C.",
        ],
        groups={"numbers": NUMBERS},
        make=c_condition_items,
    ),
]
