"""A simulated shop with a known truth: data that behaves like shopping, and answers about what is right.

Enters: a size and a seed. Leaves: items, users, events, documents, pictures, and the true click and purchase
probabilities of anybody, anything, any time. Knows nothing of the rooms that learn from it.
"""

from aisle.simulation.config import SIZES, SimulationConfig
from aisle.simulation.queries import Queries
from aisle.simulation.shop import SimulatedShop, simulate
from aisle.simulation.truth import Truth
from aisle.simulation.visitors import Visitors

__all__ = ["SIZES", "Queries", "SimulatedShop", "SimulationConfig", "Truth", "Visitors", "simulate"]
