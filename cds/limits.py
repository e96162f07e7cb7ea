"""The thresholds a site may change (catalogue, section 5): key, default, unit and where the number is from."""

from typing import NamedTuple


class Threshold(NamedTuple):
    """One key of the site's `[thresholds]`. `whole`: only whole numbers make sense."""

    key: str
    default: float
    unit: str
    source: str
    whole: bool = True


OURS = "ours"

THRESHOLDS = (
    Threshold("symptom_window_days", 90, "days", OURS),
    Threshold("emergency_window_days", 90, "days", "ours: an older, stable deficit is not a new emergency"),
    Threshold("sudden_window_days", 30, "days", OURS),
    Threshold("persistent_pain_days", 28, "days", "droracle-etiology: more than four weeks"),
    Threshold("conservative_min_days", 90, "days", "decompression-overview: three months"),
    Threshold("conservative_full_days", 180, "days", "decompression-overview: six months; laser-spine-relief"),
    Threshold("surgery_timing_days", 120, "days", "decompression-overview: about four months; text only"),
    Threshold("surgery_wait_days", 42, "days", "ours, from the last resort of cleveland-clinic-surgery"),
    Threshold("claudication_limit_m", 200, "m", "decompression-overview", False),
    Threshold("claudication_severe_m", 100, "m", "decompression-overview", False),
    Threshold("weakness_grade", 3, "MRC grade", "droracle-etiology, read as power of grade 3 or less", False),
    Threshold("pain_moderate", 4, "of 10", "numeric rating scale", False),
    Threshold("pain_severe", 7, "of 10", "numeric rating scale", False),
    Threshold("pain_worsening_points", 2, "points", OURS, False),
    Threshold("relief_percent", 30, "%", "ours, usual definition", False),
    Threshold("weight_loss_percent", 5, "%", "ours, usual definition", False),
    Threshold("weight_loss_days", 365, "days", "ours, usual definition"),
    Threshold("fever_celsius", 38.0, "Cel", OURS, False),
    Threshold("fever_window_days", 14, "days", OURS),
    Threshold("infection_window_days", 365, "days", OURS),
    Threshold("child_fever_celsius", 37.5, "Cel", "droracle-etiology: low-grade fever", False),
    Threshold("esr_mm_h", 20, "mm/h", "used without interpretation and range; age-adjusted", False),
    Threshold("crp_mg_l", 10, "mg/L", "used without interpretation and range", False),
    Threshold("wbc_10e9_l", 11, "10*9/L", "used without interpretation and range", False),
    Threshold("wbc_child_10e9_l", 15, "10*9/L", "used without interpretation and range", False),
    Threshold("lab_window_days", 30, "days", OURS),
    Threshold("potassium_mmol_l", 3.5, "mmol/L", "used without interpretation and range", False),
    Threshold("calcium_mg_dl", 8.5, "mg/dL", "used without interpretation and range; total calcium only", False),
    Threshold("cobb_progress_degrees", 5, "deg", OURS, False),
    Threshold("compression_persist_days", 42, "days", OURS),
    Threshold("spasm_persist_days", 28, "days", OURS),
    Threshold("early_imaging_days", 42, "days", "acp-2007, acr-low-back"),
    Threshold("order_memory_days", 180, "days", OURS),
    Threshold("done_memory_days", 90, "days", OURS),
    Threshold("child_age_years", 18, "years", "droracle-etiology"),
    Threshold("spinal_infection_age_min", 2, "years", "droracle-etiology; inclusive, completed years"),
    Threshold("spinal_infection_age_max", 12, "years", "droracle-etiology; inclusive, completed years"),
)

BY_KEY = {threshold.key: threshold for threshold in THRESHOLDS}


class Limits:
    """The thresholds in force, as attributes named by their keys: `limits.pain_severe`."""

    symptom_window_days: int
    emergency_window_days: int
    sudden_window_days: int
    persistent_pain_days: int
    conservative_min_days: int
    conservative_full_days: int
    surgery_timing_days: int
    surgery_wait_days: int
    claudication_limit_m: float
    claudication_severe_m: float
    weakness_grade: float
    pain_moderate: float
    pain_severe: float
    pain_worsening_points: float
    relief_percent: float
    weight_loss_percent: float
    weight_loss_days: int
    fever_celsius: float
    fever_window_days: int
    infection_window_days: int
    child_fever_celsius: float
    esr_mm_h: float
    crp_mg_l: float
    wbc_10e9_l: float
    wbc_child_10e9_l: float
    lab_window_days: int
    potassium_mmol_l: float
    calcium_mg_dl: float
    cobb_progress_degrees: float
    compression_persist_days: int
    spasm_persist_days: int
    early_imaging_days: int
    order_memory_days: int
    done_memory_days: int
    child_age_years: int
    spinal_infection_age_min: int
    spinal_infection_age_max: int

    def __init__(self, **overrides: float) -> None:
        """Raises KeyError for a key that is no threshold."""
        for key in overrides:
            BY_KEY[key]
        for threshold in THRESHOLDS:
            setattr(self, threshold.key, overrides.get(threshold.key, threshold.default))
        self._hash = hash(tuple(vars(self).values()))

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Limits) and vars(self) == vars(other))

    def __hash__(self) -> int:
        return self._hash
