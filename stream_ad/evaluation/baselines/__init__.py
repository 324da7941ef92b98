"""What a user would pick instead: seven baselines, each in the detector's place."""

from stream_ad.evaluation.baselines.baseline import Baseline
from stream_ad.evaluation.baselines.fitting import BASELINES, fit_baseline

__all__ = ["BASELINES", "Baseline", "fit_baseline"]
