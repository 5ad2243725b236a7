import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from linear_gaussian import exact_log_likelihood, linear_gaussian
from moved import moved as trained_a_little
from thin import thin

import zoo
from zoo import data, objectives
from zoo.train._blocks import next_block_size


XS = np.random.default_rng(1).normal(size=(40, 3)).astype(np.float32)
quiet_fit = functools.partial(zoo.fit, progress=False, key=jr.key(7))


def arrays(model):
    return jax.tree.leaves(eqx.filter(model, eqx.is_array))


def test_the_loss_is_minus_the_mean_objective():
    model = linear_gaussian()
    xs, key = jnp.asarray(XS), jr.key(0)
    loss = eqx.filter_jit(zoo.loss)(model, xs, objective=objectives.iwae, k=4, key=key)
    keys = jr.split(jr.split(key)[0], len(xs))
    bound = jax.jit(lambda x, key: objectives.iwae(model.draw(x, k=4, key=key)))
    bounds = [bound(x, key) for x, key in zip(XS, keys)]
    np.testing.assert_allclose(loss, -np.mean(bounds), rtol=1e-5)


def test_penalties_are_added():
    model, xs = linear_gaussian(), jnp.asarray(XS)
    penalty = lambda draws, *, key: jnp.sum(draws.z**2)

    @jax.jit
    def judged(xs, keys):
        loss = functools.partial(zoo.loss, model, xs, objective=objectives.elbo, key=jr.key(0))
        zs = jax.vmap(lambda x, key: model.draw(x, k=1, key=key).z)(xs, keys)
        return loss(), loss(penalties=[penalty] * 2), zs

    plain, with_penalty, zs = judged(xs, jr.split(jr.split(jr.key(0))[0], len(xs)))
    np.testing.assert_allclose(with_penalty - plain, 2 * np.sum(np.asarray(zs) ** 2), rtol=1e-4)


def test_fit_reaches_the_exact_optimum_of_a_linear_model():
    """The ELBO of a linear-Gaussian model can be tight, and then equals the data's own log-likelihood."""
    truth = linear_gaussian(exact=True)
    xs = np.asarray(zoo.sample(truth, 2000, noise=True, key=jr.key(0)))
    start = linear_gaussian()
    result = quiet_fit(start, xs, optimiser=optax.adam(1e-2), batch_size=100, epochs=15, held_out=xs)
    best = exact_log_likelihood(truth, xs).mean()
    reached = [row["objective"] for row in result.history if row["split"] == "held_out"]
    assert len(reached) == 15
    assert reached[-1] > best - 0.03
    assert exact_log_likelihood(start, xs).mean() - best < 0.01  # the decoder was right from the start
    assert zoo.bound(start, xs, objective=objectives.elbo, key=jr.key(1)).mean() < best - 0.1


def test_a_run_is_its_key():
    one, same = quiet_fit(linear_gaussian(), XS, batch_size=8), quiet_fit(linear_gaussian(), XS, batch_size=8)
    other = zoo.fit(linear_gaussian(), XS, batch_size=8, progress=False, key=jr.key(8))
    assert all(np.array_equal(a, b) for a, b in zip(arrays(one.model), arrays(same.model), strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(arrays(one.model), arrays(other.model), strict=True))


def test_fit_is_step_after_step():
    """The compiled blocks do what `step` does, on batches of the epoch's permutation."""
    optimiser = optax.adam(1e-2)
    result = quiet_fit(linear_gaussian(), XS, optimiser=optimiser, batch_size=16, epochs=2)
    state = zoo.TrainState(linear_gaussian(), optimiser, key=jr.split(jr.key(7))[1])
    for epoch in range(2):
        order = np.asarray(jr.permutation(jr.fold_in(state.key, 0xFFFFFFFF - epoch), len(XS)))
        for i in range(2):
            batch = jnp.asarray(XS[order[16 * i : 16 * i + 16]])
            state, metrics = zoo.step(state, batch, objective=objectives.elbo, optimiser=optimiser)
    assert result.history[-1]["step"] == int(state.step) == 4
    np.testing.assert_allclose(result.history[-1]["loss"], metrics["loss"], rtol=1e-4)
    for a, b in zip(arrays(result.model), arrays(state.model), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_an_epoch_visits_every_example_once_and_noise_is_fresh():
    model = zoo.MLPVAE(1, 1, depth=0, likelihood=zoo.likelihoods.gaussian(), key=jr.key(0))
    seen = []

    def observe(x, *, key):
        jax.debug.callback(lambda x, u: seen.append((float(x[0]), float(u))), x, jr.uniform(key))
        return x

    xs = np.arange(12, dtype=np.float32)[:, None]
    model = zoo.start(model, xs, key=jr.key(1))  # which would look at the examples too
    quiet_fit(model, xs, observe=observe, batch_size=4, epochs=2)
    jax.effects_barrier()
    values, noise = [v for v, _ in seen], [u for _, u in seen]
    assert sorted(values[:12]) == sorted(values[12:]) == list(range(12))
    assert values[:12] != values[12:]
    assert len(set(noise)) == 24


def test_the_history_reaches_the_callback_and_its_parts_add_up():
    rows = []
    result = quiet_fit(linear_gaussian(), XS, batch_size=8, epochs=3, held_out=XS[:5], callback=rows.extend)
    assert rows == result.history
    train = [row for row in rows if row["split"] == "train"]
    assert [row["step"] for row in train] == list(range(1, 16))
    assert [row["epoch"] for row in train] == [0] * 5 + [1] * 5 + [2] * 5
    for row in train:
        assert row["elbo"] == pytest.approx(row["log_likelihood"] - row["rate"], abs=1e-4)
        assert row["loss"] == pytest.approx(-row["elbo"], abs=1e-4)


def test_a_fit_shows_its_steps_and_its_losses():
    result = quiet_fit(linear_gaussian(), XS, batch_size=8, epochs=3, held_out=XS[:5])
    loss, objective = (f"{value:.6g}" for value in (result.history[-2]["loss"], result.history[-1]["objective"]))
    best = max(row["objective"] for row in result.history if row["split"] == "held_out")
    held_out = f"held-out objective {objective} nats, the best {best:.6g}"
    assert repr(result) == f"<Fit of MLPVAE: 15 steps; last loss {loss} nats; {held_out}>"
    assert repr(result._replace(history=[])) == "<Fit of MLPVAE: 15 steps>"


def test_a_schedule_moves_without_a_retrace():
    traces = []

    def counted(draws, *, beta):
        traces.append(None)
        return objectives.beta_elbo(draws, beta=beta)

    objective = objectives.scheduled(counted, beta=optax.linear_schedule(0.0, 1.0, 10))
    result = quiet_fit(linear_gaussian(), XS, objective=objective, batch_size=8, epochs=3)
    first = result.history[0]
    assert first["loss"] == pytest.approx(-first["log_likelihood"], abs=1e-4)  # beta = 0
    assert len(traces) <= 2


def test_training_that_blows_up_stops_and_says_where():
    with pytest.raises(FloatingPointError, match="step"):
        quiet_fit(linear_gaussian(), XS * 1e18, optimiser=optax.sgd(1e30), batch_size=8)


def test_with_batch_norm_held_out_examples_are_scored_by_the_frozen_model():
    xs = np.random.default_rng(0).uniform(0.01, 0.99, size=(8, 1, 4, 4)).astype(np.float32)
    likelihood = zoo.likelihoods.gaussian()
    model = zoo.ConvVAE((1, 4, 4), 2, width_size=2, likelihood=likelihood, norm="batch", key=jr.key(0))
    model = trained_a_little(thin(model))
    result = quiet_fit(model, xs, batch_size=8, epochs=1, held_out=xs[:3])
    assert np.isfinite([result.history[0]["loss"], result.history[-1]["objective"]]).all()
    # Both networks learn, every norm of them too; a bias in front of a norm has no effect.
    moved = [not np.array_equal(a, b) for a, b in zip(arrays(model), arrays(result.model), strict=True)]
    assert sum(moved) >= len(moved) - 4
    with pytest.raises(ValueError, match="freeze"):
        zoo.log_likelihood(result.model, xs, k=1, key=jr.key(0))


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(batch_size=41), r"batch_size=41.*got 40"),
        (dict(batch_size=0), "batch_size=0"),
        (dict(epochs=0), "epochs=0"),
        (dict(held_out=XS[:, :2]), r"held_out.*\(40, 2\)"),
        (dict(objective=functools.partial(objectives.beta_elbo, beta=-1.0)), "beta=-1"),
    ],
)
def test_runs_that_cannot_work_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        quiet_fit(linear_gaussian(), XS, **(dict(batch_size=8) | options))


def test_uint8_images_train_dequantised():
    pixels = np.random.default_rng(0).integers(0, 256, size=(8, 1, 8, 8), dtype=np.uint8)
    model = zoo.MLPVAE((1, 8, 8), 2, width_size=4, depth=1, key=jr.key(0))
    result = quiet_fit(model, pixels, observe=data.dequantise, batch_size=4, epochs=2)
    assert np.isfinite([row["loss"] for row in result.history]).all()


@pytest.mark.parametrize(
    "block, seconds, count",
    [(1, 0.01, 4), (8, 0.01, 32), (32, 0.01, 50), (64, 1e-5, 256), (4, 0.2, 8), (1, 0.9, 2), (4, 3.0, 1)],
)
def test_a_block_is_half_a_second_or_eight_steps_up_to_two_seconds(block, seconds, count):
    assert next_block_size(block, seconds) == count
