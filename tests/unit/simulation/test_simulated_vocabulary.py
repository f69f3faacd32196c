"""The words of the simulated shop fit together."""

from __future__ import annotations

import numpy as np

from aisle.simulation.vocabulary import LANGUAGES, N_BRAND_NAMES, N_WORDS, read_vocabulary


def test_it_has_about_a_dozen_departments_and_sixty_categories():
    vocabulary = read_vocabulary()

    assert len(vocabulary.departments) == 12
    assert vocabulary.n_leaves == 62
    assert {leaf.department for leaf in vocabulary.leaves} == set(range(12))


def test_every_word_exists_in_both_languages():
    vocabulary = read_vocabulary()
    words = [*vocabulary.departments, *vocabulary.materials, *vocabulary.colours, *vocabulary.series]
    words += [word for leaf in vocabulary.leaves for word in (*leaf.nouns, *leaf.uses)]
    words += [word for feature in vocabulary.features for word in feature]

    assert all(word[place] for word in words for place in range(len(LANGUAGES)))
    assert all(any("\u4e00" <= letter <= "\u9fff" for letter in word.zh) for word in words)
    assert all(word.en.isascii() for word in words)


def test_every_category_and_feature_has_three_ways_to_say_it():
    vocabulary = read_vocabulary()

    assert all(len(set(leaf.nouns)) == N_WORDS for leaf in vocabulary.leaves)
    assert all(len(set(feature)) == N_WORDS for feature in vocabulary.features)


def test_nothing_goes_with_itself_and_most_categories_go_with_something():
    together = read_vocabulary().together_matrix()

    assert not together.diagonal().any()
    assert together.any(axis=1).mean() > 0.9


def test_brand_names_differ():
    names = read_vocabulary().brand_names(np.arange(N_BRAND_NAMES))

    assert len({name.en for name in names}) == len({name.zh for name in names}) == N_BRAND_NAMES
