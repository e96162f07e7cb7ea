"""The names that the medicine uses for what a record can say (catalogue, sections 3, 4, 6 and 7).

A concept is a name, never a code: which codes mean it is knowledge of `fhir_profiles`.
Findings are what can be stated as present or absent (or as a number); conditions, medicines,
procedures and orders are what a record lists.
"""

BOOLEAN_FINDINGS = (
    "back-pain",
    "back-spasm",
    "radicular-pain",
    "radicular-pain-worsening",
    "saddle-anesthesia",
    "urinary-retention",
    "bladder-control-loss",
    "bowel-control-loss",
    "limb-sensation-loss",
    "leg-sensory-change",
    "balance-loss",
    "one-sided-weakness-or-numbness",
    "paralysis",
    "altered-consciousness",
    "leg-weakness",
    "progressive-neurological-deficit",
    "gait-disturbance",
    "cancer-history",
    "unexplained-weight-loss",
    "intentional-weight-loss",
    "fever",
    "infection-signs",
    "immunosuppression",
    "iv-drug-use",
    "night-pain",
    "pain-worse-with-activity",
    "pain-relieved-by-rest",
    "muscle-tenderness",
    "spinal-instability",
    "scoliosis-progression",
    "reduced-range-of-motion",
    "irritability",
    "localized-tenderness",
    "limping",
    "recent-trauma",
    "conservative-treatment-tried",
    "significant-relief",
)

NUMERIC_FINDINGS = (
    "pain-score",
    "muscle-strength-grade",
    "walking-distance",
    "cobb-angle",
    "conservative-treatment-weeks",
)

MEASUREMENTS = (
    *NUMERIC_FINDINGS,
    "body-temperature",
    "body-weight",
    "esr",
    "crp",
    "wbc",
    "potassium",
    "calcium-total",
)

CONDITIONS = (
    "back-pain",
    "back-spasm",
    "sciatica-radiculopathy",
    "disc-herniation",
    "disc-herniation-with-radiculopathy",
    "spinal-stenosis",
    "neurogenic-claudication",
    "spondylolysis-spondylolisthesis",
    "spondylolisthesis",
    "scoliosis",
    "degenerative-spine",
    "spinal-instability",
    "cauda-equina-syndrome",
    "cord-compression-myelopathy",
    "spinal-neoplasm",
    "metastasis-bone",
    "infection-spinal",
    "vertebral-fracture",
    "malignancy-active",
    "malignancy-history",
    "infection-active-systemic",
    "immunosuppression-condition",
    "inflammatory-arthropathy",
    "osteoporosis",
    "foot-drop-leg-paresis",
    "pregnancy",
    "bariatric-surgery",
    "kidney-disease",
    "heart-failure",
    "peptic-ulcer-gi-bleed",
    "nsaid-allergy",
    "dehydration",
    "hypokalemia",
    "hypocalcemia",
)

MEDICINES = (
    "systemic-corticosteroid",
    "immunosuppressant",
    "nsaid",
    "muscle-relaxant",
    "analgesic",
    "anticoagulant",
)

ROUTES = ("non-systemic-routes",)

PROCEDURES = (
    "physical-therapy",
    "spinal-traction",
    "epidural-injection",
    "spinal-surgery",
    "spinal-fusion",
)

ORDERS = (
    "mri-lumbar",
    "mri-whole-spine",
    "ct-lumbar",
    "xray-lumbar",
    "spine-surgeon-referral",
    "emergency-referral",
    "esr-order",
    "crp-order",
    "blood-count-order",
)

ALL_CONCEPTS = frozenset((*BOOLEAN_FINDINGS, *MEASUREMENTS, *CONDITIONS, *MEDICINES, *ROUTES, *PROCEDURES, *ORDERS))
