"""Synthetic anomalies: normal windows with one thing wrong, of a known kind and severity.

For models that learn from negatives, and for judging detectors where nothing is labelled.
What a detector finds of these says which of two detectors hears more; it does not say how
many of a machine's own faults will be found.
"""

from stream_ad.detector.synthetic.faults import FAULTS
from stream_ad.detector.synthetic.injection import inject
from stream_ad.detector.synthetic.negatives import negatives, rare_anomalies
from stream_ad.detector.synthetic.noise import NOISE

__all__ = ["FAULTS", "NOISE", "inject", "negatives", "rare_anomalies"]
