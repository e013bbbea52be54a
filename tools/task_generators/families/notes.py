"""Notes: one short sentence, to be labelled by its topic or its language."""

import checks
from core import Item, Task, pick

from .note_words import LANGUAGES, OTHER_TOPICS, TOPICS

OPENERS = ["", "", "Today ", "We heard that ", "They say that ", "As you know, "]


def capital(text):
    return text[0].upper() + text[1:]


def subjects(topics):
    return {topic: all_of.split("; ") for topic, (all_of, _) in topics.items()}


def topic_items(topics):
    """A `make`; a group is a subject."""
    topic_of = {subject: topic for topic, all_of in subjects(topics).items() for subject in all_of}

    def make(groups):
        for subject in groups:
            topic = topic_of[subject]
            for predicate in topics[topic][1].split("; "):
                opener = pick(OPENERS, "opener", subject, predicate)
                yield Item(subject, capital(f"{opener}{subject} {predicate}."), topic)

    return make


def language_items(groups):
    language_of = {predicate: name for name, (_, all_of) in LANGUAGES.items() for predicate in all_of.split("; ")}
    for predicate in groups:
        language = language_of[predicate]
        for subject in LANGUAGES[language][0].split("; "):
            yield Item(predicate, capital(f"{subject} {predicate}."), language)


TASKS = [
    Task(
        family="notes",
        name="topic",
        rule="whether a note is about sport, weather, food or travel",
        group="subject",
        check=checks.topic_of(TOPICS),
        instructions=[
            "Is this note about sport, weather, food or travel?",
            "Label the topic of the note as sport, weather, food or travel.",
            "What is the note about: sport, weather, food or travel?",
            "Choose the topic of this note: sport, weather, food or travel.",
            "Classify the note by topic: sport, weather, food or travel.",
            "Which topic does this note belong to, sport, weather, food or travel?",
        ],
        groups=subjects(TOPICS),
        make=topic_items(TOPICS),
        options=list(TOPICS),
    ),
    Task(
        family="notes",
        name="language",
        rule="the language of a sentence, out of five",
        group="predicate",
        check=checks.language,
        instructions=[
            "Is this note in English, Spanish, French, German or Italian?",
            "Label the language of the note as English, Spanish, French, German or Italian.",
            "What language is the note in: English, Spanish, French, German or Italian?",
            "Choose the language of this note: English, Spanish, French, German or Italian.",
            "Classify the note by language: English, Spanish, French, German or Italian.",
            "Which language is this note written in, English, Spanish, French, German or Italian?",
        ],
        groups={language: all_of.split("; ") for language, (_, all_of) in LANGUAGES.items()},
        make=language_items,
        options=list(LANGUAGES),
    ),
    Task(
        family="notes",
        name="other_topic",
        rule="whether a note is about music, health, school or money",
        group="subject",
        check=checks.topic_of(OTHER_TOPICS),
        held_out=True,
        transfer=(
            "`topic` and `aspect` answer the same question with other labels, in nearly the same words: they have "
            "learnt to answer with the one label of the instruction that the words of the sentence belong to. Which "
            "of them belong to music or money is what the base model knows."
        ),
        instructions=[
            "Is this note about music, health, school or money?",
            "Label the topic of the note as music, health, school or money.",
            "What is the note about: music, health, school or money?",
            "Choose the topic of this note: music, health, school or money.",
            "Classify the note by topic: music, health, school or money.",
            "Which topic does this note belong to, music, health, school or money?",
        ],
        groups=subjects(OTHER_TOPICS),
        make=topic_items(OTHER_TOPICS),
        options=list(OTHER_TOPICS),
    ),
]
