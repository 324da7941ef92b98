"""From scores to incidents, and from faulty data to incidents of their own kind."""

from stream_ad.alerting.drift import LineState, follow_lines
from stream_ad.alerting.events import Rules, ce_id
from stream_ad.alerting.incidents import StepResult, close_all, step
from stream_ad.alerting.mute import Mute
from stream_ad.alerting.quality import Findings, QualityCheck
from stream_ad.alerting.silence import close_silent, open_silent
from stream_ad.alerting.standing import QualityState
from stream_ad.alerting.state import AlertState
from stream_ad.alerting.swallowing import swallowed_after, swallowing_words, swallowing_zone
from stream_ad.alerting.verdict import Details, WindowVerdict

__all__ = [
    "AlertState",
    "Details",
    "Findings",
    "LineState",
    "Mute",
    "QualityCheck",
    "QualityState",
    "Rules",
    "StepResult",
    "WindowVerdict",
    "ce_id",
    "close_all",
    "close_silent",
    "follow_lines",
    "open_silent",
    "step",
    "swallowed_after",
    "swallowing_words",
    "swallowing_zone",
]
