"""Data sets: examples to learn from and to be measured on, with what is known of them."""

import functools

import jax
import jax.random as jr
import numpy as np

import zoo


def test_a_toy_gives_points_and_its_density():
    key = jr.key(3)
    data = zoo.data.from_toy(zoo.data.two_moons, train_size=7, test_size=5, key=key)
    train_key, test_key = jr.split(key)
    np.testing.assert_array_equal(data.train, zoo.data.two_moons(7, key=train_key))
    np.testing.assert_array_equal(data.test, zoo.data.two_moons(5, key=test_key))
    assert not data.is_images and data.train_labels is None and data.classes is None
    found = jax.vmap(data.log_density)(data.test)
    np.testing.assert_allclose(found, jax.vmap(zoo.data.two_moons.log_density)(data.test), rtol=1e-6)


def test_sprites_come_with_their_factors_and_are_the_same_each_time():
    make = functools.partial(zoo.data.from_sprites, zoo.data.sprites(8), train_size=6, test_size=4)
    data = make()
    assert data.train.shape == (6, 1, 8, 8) and data.test_factors.shape == (4, 5) and data.is_images
    np.testing.assert_array_equal(data.train_labels, data.train_factors[:, 0])
    np.testing.assert_array_equal(data.test, make().test)
    few = data.first(3)
    assert (len(few.test), len(few.test_labels), len(few.test_factors), len(few.train)) == (3, 3, 3, 6)
    assert data.first(None).test.shape == data.test.shape
    np.testing.assert_array_equal(data.tested_on_train().test_factors, data.train_factors)


def test_clothes_have_classes():
    data = zoo.data.from_clothes(zoo.data.fashion_mnist_mini())
    assert data.train.shape == (6000, 1, 28, 28) and data.test_labels.max() == len(data.classes) - 1
    assert data.log_density is None and data.train_factors is None
