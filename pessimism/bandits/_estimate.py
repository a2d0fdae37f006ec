"""Where `ValueInterval` used to live: pickles written before it moved still load."""

from pessimism.bandits.interval import ValueInterval as ValueInterval
