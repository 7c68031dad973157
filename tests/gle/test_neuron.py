"""What single neurons do to pulses and sines, against the transfer function of the equations."""

import numpy as np
import pytest
from command_lines import table
from gle import tiny
from gle.tiny import command, numbers, printed

from plastic import runs
from plastic.gle.experiments import neuron_figures

LINE = "neuron --tau_m=0.5 --tau_r=0.1,0.5,2"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    tiny.place(tmp_path, monkeypatch)


def of_steps(omega, tau_m, tau_r, dt):
    """The transfer function of the Euler steps: d/dt is (z - 1) / dt for z = exp(i omega dt)."""
    slope = (np.exp(1j * omega * dt) - 1) / dt
    return (1 + tau_r * slope) / (1 + tau_m * slope)


def test_sines_are_multiplied_by_the_transfer_function_of_the_steps():
    found = numbers(table(command(LINE, "--dt=0.02")[0]))
    expected = of_steps(found["omega"], 0.5, found["tau_r"], 0.02)
    np.testing.assert_allclose(found["gain"] * np.exp(1j * found["phase"]), expected, rtol=1e-9)
    assert set(found["tau_r"]) == {0.1, 0.5, 2} and len(found["omega"]) == 39


def test_short_steps_come_near_the_continuous_neuron():
    """Of first order: a quarter of the step, a quarter of the difference."""
    differences = []
    for dt in (0.025, 0.00625):
        found = numbers(table(command(LINE, f"--dt={dt}")[0]))
        exact = (1 + 1j * found["omega"] * found["tau_r"]) / (1 + 1j * found["omega"] * 0.5)
        np.testing.assert_allclose(found["gain_H"] * np.exp(1j * found["phase_H"]), exact, rtol=1e-12)
        simulated = found["gain"] * np.exp(1j * found["phase"])
        differences.append(np.abs(simulated / exact - 1)[np.isclose(found["omega"], 2, rtol=0.02)].max())
    assert 3.5 < differences[0] / differences[1] < 4.5


def test_neurons_lag_follow_and_look_ahead():
    found = numbers(table(command(LINE, "--dt=0.02")[0]))
    for tau_r, sign in ((0.1, -1), (0.5, 0), (2, 1)):
        phases = found["phase"][found["tau_r"] == tau_r]
        assert np.all(np.sign(np.round(phases, 2)) == sign)


def test_a_pulse_is_answered_exponentially():
    """After it has risen, r = 1 + (tau_r / tau_m - 1) (1 - dt / tau_m)^n."""
    arrays = runs.Run(command(LINE, "--dt=0.02")[0]).arrays()
    x, rates = arrays["pulse/input"], arrays["pulse/neurons"]
    (begin, end), n = np.flatnonzero(np.diff(x)) + 1, np.arange(125)
    assert (begin, end) == (50, 175) and np.all(rates[:begin] == 0)
    for k, tau_r in enumerate((0.1, 0.5, 2)):
        expected = 1 + (tau_r / 0.5 - 1) * (1 - 0.02 / 0.5) ** n
        np.testing.assert_allclose(rates[begin:end, k], expected, rtol=1e-9)


def test_a_second_neuron_gives_back_what_the_first_was_given():
    folder, lines = command(LINE, "--dt=0.02")
    arrays = runs.Run(folder).arrays()
    for name in ("pulse", "sine"):
        x, chain = arrays[f"{name}/input"], arrays[f"{name}/chain"]
        np.testing.assert_allclose(chain[1:, 1], x[:-1], atol=1e-10)
        np.testing.assert_allclose(chain[:, 0], arrays[f"{name}/neurons"][:, 0], atol=1e-10)
    assert "a step later" in lines[-1]


def test_two_runs_are_drawn_side_by_side():
    folders = [command(LINE, f"--dt={dt}")[0] for dt in (0.02, 0.025)]
    (path,) = printed("figure", f"{folders[0]},{folders[1]}", "--out=both.png")
    assert path.endswith("both.png")
    axes = np.reshape(neuron_figures.neuron([runs.Run(folder) for folder in folders]).axes, (3, 4))
    for place, folder in enumerate(folders):
        arrays = runs.Run(folder).arrays()
        _, *rates = axes[0, 2 * place].get_lines()
        np.testing.assert_allclose([line.get_ydata() for line in rates], arrays["pulse/neurons"].T)
        phases = [line.get_ydata() for line in axes[1, 2 * place + 1].get_lines() if line.get_marker() == "o"]
        found = np.angle(arrays["transfer/real"] + 1j * arrays["transfer/imaginary"]).T
        np.testing.assert_allclose(phases[: len(found)], found, atol=1e-12)
