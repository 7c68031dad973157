"""Predictive coding and prospective configuration, with the rules it is compared with (Song et al. 2024).

    grads = pc.pc(network, x, y, T=128)          or pc.bp, pc.fixed_prediction, pc.zil, pc.tp
    optimizer.step(network.layers, grads, moments)
    pc.learn(network, x, y, T, update, schedule="all")       weights that move during inference

Song, Millidge, Salvatori, Lukasiewicz, Xu, Bogacz: Inferring neural activity before plasticity as a foundation for
learning beyond backpropagation. Nature Neuroscience 27, 348-358, 2024.
"""

from plastic.pc import handcoded, metrics
from plastic.pc.convolutional import ConvolutionalNetwork
from plastic.pc.linear import equilibrium
from plastic.pc.network import Inference, Network, activities, predict
from plastic.pc.rules import Rate, bp, fixed_prediction, infer, learn, pc, repeated_bp, tp, when, zil

__all__ = [
    "ConvolutionalNetwork",
    "Inference",
    "Network",
    "Rate",
    "activities",
    "bp",
    "equilibrium",
    "fixed_prediction",
    "handcoded",
    "infer",
    "learn",
    "metrics",
    "pc",
    "predict",
    "repeated_bp",
    "tp",
    "when",
    "zil",
]
