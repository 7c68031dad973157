"""Equilibrium propagation and its baseline, backpropagation through time (Ernoult et al. 2019).

    net = ep.networks.energy((784, 512, 10), generator)     # or prototypical, toy, convolutional
    grads, output = ep.ep(net, x, y, T=100, K=12, beta=0.5)
    grads, output = ep.bptt(net, x, y, T=100, steps=13)
    comparison = ep.Comparison(net, x, y, T=800, K=80, beta=0.001)      # the two, step by step

Ernoult, Grollier, Querlioz, Bengio, Scellier: Updates of equilibrium prop match gradients of backprop through time in
an RNN with static input. Advances in Neural Information Processing Systems 32, 2019.
"""

from plastic.ep import networks
from plastic.ep.curves import Comparison
from plastic.ep.relaxation import Relaxation, Tape
from plastic.ep.rules import bptt, ep
from plastic.ep.task import restore

__all__ = ["Comparison", "Relaxation", "Tape", "bptt", "ep", "networks", "restore"]
