"""Lists: a few words in a row, of which one is taken or which are written another way."""

import checks
from core import Item, Task, ordered, pick

WORDS = """
apple pear plum lemon cherry melon carrot onion potato bread cheese butter honey sugar pepper salt rice soup milk
coffee tea table chair lamp carpet mirror window door shelf drawer pillow blanket curtain candle clock vase basket
bottle bucket broom hammer nail screw ladder rope brush shovel wheel engine pump pipe cable battery magnet lens mask
helmet whistle cat dog horse cow sheep goat duck goose rabbit mouse fox wolf bear lion tiger camel otter eagle crow owl
frog snake river lake forest island valley desert beach harbour bridge tower castle village garden meadow cave road red
blue green yellow purple orange silver brown black white pink drum piano violin flute guitar trumpet bell harp shirt
coat scarf glove boot belt jacket sweater button ribbon pocket doctor baker farmer pilot sailor teacher painter driver
tailor dancer singer judge spring summer autumn winter morning evening noon book letter stamp paper pencil ruler map
poster ticket card coin purse wallet key cloud storm rain snow wind fog thunder frost boat train bicycle truck tractor
balloon rocket ferry wagon sledge
""".split()


def rows(groups, turns, sizes, *seed):
    """Lists of these words, each word at the end of `turns` of them; the word at the end is the group."""
    for word in groups:
        for turn in range(turns):
            size = pick(sizes, "size", word, turn, *seed)
            others = [other for other in ordered(groups, "others", word, turn, *seed) if other != word]
            yield word, others[: size - 1] + [word]


def last_items(groups):
    for word, row in rows(groups, 12, [3, 4, 5], "last"):
        yield Item(word, ", ".join(row), word)


def reversed_lists(groups):
    for word, row in rows(groups, 12, [3, 4], "reverse"):
        yield Item(word, ", ".join(row), ", ".join(row[::-1]))


def and_lists(groups):
    for word, row in rows(groups, 12, [3, 4, 5], "and"):
        yield Item(word, ", ".join(row), f"{', '.join(row[:-1])} and {word}")


def paths(groups):
    for word, row in rows(groups, 12, [3, 4], "path"):
        yield Item(word, " > ".join(row), word)


TASKS = [
    Task(
        family="lists",
        name="last_item",
        rule="the last word of a list",
        group="last word",
        check=lambda given, answer: given.endswith(f", {answer}") and "," not in answer,
        instructions=[
            "What is the last item of this list?",
            "Give the last word of the list.",
            "Write only the final item of this list.",
            "Which item stands at the end of the list?",
            "Copy the last item.",
            "Name the item that comes last.",
        ],
        groups={"words": WORDS},
        make=last_items,
    ),
    Task(
        family="lists",
        name="reverse_list",
        rule="the list from its end to its start",
        group="last word",
        check=checks.backwards,
        instructions=[
            "Reverse the order of this list.",
            "Write the list backwards, word by word.",
            "Give the items of this list in reverse order.",
            "Turn the list around, last item first.",
            "List the same items from last to first.",
            "Rewrite this list in the opposite order.",
        ],
        groups={"words": WORDS},
        make=reversed_lists,
    ),
    Task(
        family="lists",
        name="and_list",
        rule="the list with “and” before its last word, as in a sentence",
        group="last word",
        check=lambda given, answer: answer.count(" and ") == 1 and answer.replace(" and ", ", ") == given,
        instructions=[
            "Write this list with \"and\" before the last item.",
            "Join the items as in a sentence, with \"and\".",
            "Put \"and\" between the last two items of this list.",
            "Rewrite the list as it would stand in a sentence.",
            "Join the list with commas and a final \"and\".",
            "Replace the last comma of the list by \"and\".",
        ],
        groups={"words": WORDS},
        make=and_lists,
    ),
    Task(
        family="lists",
        name="last_of_path",
        rule="the last word of a path whose steps are marked by “>”",
        group="last word",
        check=lambda given, answer: given.endswith(f" > {answer}") and ">" not in answer,
        held_out=True,
        transfer=(
            "`last_item` takes the last of the same words; only the sign between them is another, and the "
            "instructions ask in its words."
        ),
        instructions=[
            "What is the last item of this path?",
            "Give the last word of the path.",
            "Write only the final item of this path.",
            "Which item stands at the end of the path?",
            "Copy the last item of the path.",
            "Name the item that comes last in the path.",
        ],
        groups={"words": WORDS},
        make=paths,
    ),
]
