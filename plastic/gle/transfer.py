"""What a linear neuron makes of a sine (Ellenberger et al. 2024, "Results")."""

from typing import Any


def transfer(omega: Any, tau_m: Any, tau_r: Any) -> Any:
    """Return H = (1 + i omega tau_r) / (1 + i omega tau_m), what a linear neuron multiplies a sine by.

    tau_m du/dt = I - u,  r = u + tau_r du/dt: |H| is the gain, and arg H, in rad, how far r is ahead of I.

    Args:
        omega: angular frequencies, in 1 / the unit of the time constants; host numbers, as the time constants are.
        tau_m: time constants of the membrane.
        tau_r: time constants by which rates look ahead.

    Returns:
        Complex numbers.

    Example:
        >>> transfer(1.0, tau_m=1.0, tau_r=1.0)  # it follows its input
        (1+0j)
    """
    return (1 + 1j * omega * tau_r) / (1 + 1j * omega * tau_m)
