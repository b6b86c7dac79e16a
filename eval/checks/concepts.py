"""What radiologists find, under one name whatever they call it, and which names mean nearly the same.

Phrases are written in the singular: words are compared without their plurals.
"""

from __future__ import annotations

from functools import cache

from radimpress.eval.checks.phrases import Phrases

_CONCEPTS: dict[str, str] = {
    # chest
    "pneumothorax": "pneumothorax, pneumothoraces, ptx, hydropneumothorax",
    "effusion": "effusion, pleural fluid collection, pleural fluid, hydrothorax, hemothorax",
    "pneumonia": "pneumonia, tuberculosis, pneumonitis, bronchopneumonia",
    "consolidation": (
        "consolidation, infiltrate, infiltration, air space opacity, airspace opacity, air space disease, airspace "
        "disease, consolidative opacity, air - space opacity, air - space disease, consolidative"
    ),
    "opacity": "opacity, opacification, density, opacified, ground glass",
    "atelectasis": "atelectasis, atelectatic, volume loss, collapse",
    "edema": (
        "edema, oedema, vascular congestion, congestion, fluid overload, congestive heart failure, heart failure,"
        " acute failure, cardiac failure, congestive failure, decompensation, "
        "chf, cephalization"
    ),
    "emphysema": (
        "emphysema, emphysematous, copd, hyperinflation, hyperexpansion, hyperinflated, hyperexpanded, chronic "
        "obstructive pulmonary disease"
    ),
    "fibrosis": "fibrosis, fibrotic, interstitial lung disease, honeycombing",
    "cardiomegaly": (
        "cardiomegaly, enlarged heart, enlarged cardiac silhouette, cardiac enlargement, enlargement of the heart, "
        "heart enlargement, enlarged cardiomediastinal silhouette, enlargement of the cardiac silhouette, large heart, "
        + ", ".join(
            f"{what} {verb}{how} {big}"
            for what in (
                "heart",
                "heart size",
                "cardiac silhouette",
                "cardiomediastinal silhouette",
                "heart silhouette",
            )
            for verb in ("is", "remains", "appears", "")
            for how in ("", " mildly", " moderately", " borderline", " slightly", " markedly", " severely")
            for big in ("enlarged", "large", "increased")
        )
    ),
    "granuloma": "granuloma, granulomatous",
    "pneumomediastinum": "pneumomediastinum, mediastinal emphysema",
    # general
    "nodule": "nodule, nodular density, nodular opacity",
    "mass": (
        "mass, tumor, tumour, neoplasm, neoplastic, malignancy, malignant, carcinoma, cancer, sarcoma, lymphoma, "
        "adenocarcinoma, glioma, glioblastoma, meningioma, melanoma, schwannoma, adenoma, myeloma"
    ),
    "metastasis": "metastasis, metastatic",
    "lesion": "lesion",
    "lymphadenopathy": "lymphadenopathy, adenopathy, enlarged lymph node, enlarged node",
    "calcification": "calcification, calcified, calcific",
    "cyst": "cyst, cystic",
    "fracture": "fracture, fractured",
    "dislocation": "dislocation, dislocated, subluxation, subluxed",
    "hemorrhage": (
        "hemorrhage, haemorrhage, hemorrhagic, haemorrhagic, bleed, bleeding, hematoma, haematoma, intracranial "
        "blood, subarachnoid blood, extravasation, hemoperitoneum, hemothorax"
    ),
    "fluid collection": "fluid collection, collection",
    "abscess": "abscess, phlegmon, empyema",
    "osteomyelitis": "osteomyelitis, discitis, diskitis, septic arthritis",
    "infection": "infection, infectious, cellulitis, sepsis",
    "thrombus": (
        "thrombus, thrombosis, dvt, clot, thrombosed, thrombotic, deep vein thrombosis, noncompressible, non - "
        "compressible"
    ),
    "embolism": (
        "pulmonary embolism, pulmonary embolus, embolism, embolus, pe, filling defect, pulmonary arterial embolism, "
        "thromboembolism, thromboembolic"
    ),
    "aneurysm": "aneurysm, aneurysmal, pseudoaneurysm, aneurysmal dilatation",
    "dissection": "dissection, intimal flap, dissected",
    "infarct": "infarct, infarction, stroke, infarcted, cva",
    "ischemia": "ischemia, ischaemia, ischemic, ischaemic",
    "stenosis": "stenosis, narrowing, stenotic",
    "occlusion": "occlusion, occluded",
    "obstruction": "obstruction, obstructed, obstructing, obstructive uropathy",
    "hernia": "hernia",
    "free air": (
        "free air, pneumoperitoneum, free intraperitoneal air, free gas, free intra - abdominal air, free "
        "intraperitoneal gas, subdiaphragmatic air, air under the diaphragm, free subdiaphragmatic air"
    ),
    "perforation": "perforation, perforated",
    "free fluid": "free fluid, ascites, free pelvic fluid, free intraperitoneal fluid",
    "dilatation": "dilatation, dilation, dilated, ectasia",
    "inflammation": "inflammation, inflammatory",
    "stone": (
        "stone, calculus, nephrolithiasis, urolithiasis, ureterolithiasis, cholelithiasis, gallstone, "
        "choledocholithiasis, lithiasis, kidney stone"
    ),
    "hydronephrosis": (
        "hydronephrosis, hydroureter, hydroureteronephrosis, pelvicaliectasis, caliectasis, pelviectasis, "
        "hydronephrotic"
    ),
    "cholecystitis": "cholecystitis",
    "appendicitis": "appendicitis, inflamed appendix",
    "diverticulitis": "diverticulitis",
    "diverticulosis": "diverticulosis, diverticulum",
    "pancreatitis": "pancreatitis",
    "colitis": "colitis, enteritis, ileitis",
    "cirrhosis": "cirrhosis, cirrhotic",
    "steatosis": "steatosis, fatty infiltration, fatty liver, fatty change",
    "hepatomegaly": "hepatomegaly",
    "splenomegaly": "splenomegaly",
    "intussusception": "intussusception",
    "volvulus": "volvulus",
    "torsion": "torsion, torsed",
    "ectopic": "ectopic pregnancy, ectopic gestation, ectopic",
    "fetal demise": "fetal demise, intrauterine demise, no fetal heart, absent cardiac activity",
    "rupture": "rupture, ruptured",
    "tear": "tear, torn, tearing",
    "herniation": (
        "herniation, protrusion, extrusion, herniated, disc bulge, disk bulge, bulging disc, bulging disk, disc "
        "bulging, disk bulging, protruding"
    ),
    "cord compression": (
        "cord compression, compression of the cord, compression of the spinal cord, spinal cord compression, cauda "
        "equina compression, compresses the cord, cord is compressed, compressing the cord, compressing the spinal "
        "cord"
    ),
    "midline shift": (
        "midline shift, shift, shift of midline, shift of the midline, subfalcine herniation, uncal "
        "herniation, tonsillar "
        "herniation, transtentorial herniation"
    ),
    "mediastinal shift": "mediastinal shift, shift of the mediastinum",
    "mass effect": "mass effect",
    "reversible defect": (
        "reversible ischemia, reversible defect, reversible perfusion defect, reversible perfusion abnormality, "
        "reversibility, inducible ischemia, induced ischemia, reversible myocardial ischemia, induced "
        "myocardial ischemia"
    ),
    "severe stenosis": (
        "high grade stenosis, high - grade stenosis, flow limiting lesion, flow - limiting lesion, flow "
        "limiting stenosis, "
        "flow - limiting stenosis, significant stenosis, severe stenosis, critical stenosis, high grade narrowing, "
        "high - grade narrowing, hemodynamically significant stenosis"
    ),
    "hydrocephalus": "hydrocephalus, ventriculomegaly",
    "atrophy": "atrophy, volume loss",
    "restricted diffusion": "restricted diffusion, diffusion restriction",
    "tamponade": "tamponade",
    "ischemic bowel": "pneumatosis, portal venous gas, bowel ischemia",
    "degenerative change": (
        "degenerative, spondylosis, osteophyte, arthritis, arthrosis, osteoarthritis, arthropathy, spondylitic"
    ),
    "bone density": "bone density, bone mineral density, density of bone",
    "scoliosis": "scoliosis, dextroscoliosis, levoscoliosis",
    "craniosynostosis": "craniosynostosis",
    "demineralization": "osteopenia, osteoporosis, demineralization, osteopenic",
    "spondylolisthesis": "spondylolisthesis, anterolisthesis, retrolisthesis, listhesis",
    "swelling": "swelling",
    "reflux": "reflux",
    "defect": "defect",
    "thickening": "thickening, thickened",
    "wall motion abnormality": "wall motion abnormality, hypokinesis, akinesis",
    "vegetation": "vegetation",
    "regurgitation": "regurgitation, insufficiency",
}

# Names that say nearly the same: one may stand in the impression for another in the findings.
_FAMILIES: tuple[frozenset[str], ...] = tuple(
    frozenset(listed.split(", "))
    for listed in (
        "pneumonia, consolidation, opacity, atelectasis, infection, fibrosis",
        "mass, nodule, lesion, metastasis, opacity",
        "cyst, lesion, nodule",
        "lymphadenopathy, mass, metastasis",
        "hemorrhage, fluid collection, midline shift",
        "abscess, fluid collection, infection, inflammation, osteomyelitis",
        "thrombus, embolism, occlusion, defect",
        "infarct, ischemia, restricted diffusion, occlusion, defect, ischemic bowel",
        "obstruction, dilatation, occlusion, hydronephrosis, stone",
        "free air, perforation, pneumomediastinum",
        "stenosis, occlusion, severe stenosis",
        "reversible defect, ischemia, defect, infarct",
        "hydronephrosis, dilatation",
        "midline shift, mass effect, herniation",
        "degenerative change, stenosis, herniation, spondylolisthesis",
        "cholecystitis, stone, thickening, inflammation",
        "appendicitis, inflammation",
        "diverticulitis, inflammation, diverticulosis",
        "colitis, thickening, inflammation",
        "free fluid, effusion, fluid collection",
        "edema, effusion, opacity, cardiomegaly",
        "aneurysm, dilatation, dissection",
        "cord compression, stenosis, mass effect",
        "tear, rupture, defect",
        "fracture, dislocation",
        "volvulus, obstruction, torsion",
        "hydrocephalus, dilatation, atrophy",
        "tamponade, effusion",
        "calcification, granuloma, nodule, stone",
    )
)

# What is denied with others: who sees no consolidation sees no pneumonia.
DENIED_WITH: dict[str, tuple[str, ...]] = {
    "pneumonia": ("consolidation", "opacity"),
    "consolidation": ("pneumonia", "opacity"),
    "metastasis": ("mass", "nodule", "lesion"),
    "embolism": ("thrombus",),
    "thrombus": ("embolism",),
    "appendicitis": ("inflammation",),
    "mass effect": ("midline shift", "mass"),
    "reversible defect": ("ischemia", "defect"),
    "severe stenosis": ("stenosis",),
    "diverticulitis": ("inflammation",),
    "infarct": ("restricted diffusion",),
    "restricted diffusion": ("infarct",),
}
# What is seen, or there is none: findings in which nothing is abnormal leave no ground for it.
SEEN_ITSELF = frozenset(_CONCEPTS) - {
    "calcification",
    "inflammation",
    "swelling",
    "defect",
    "reflux",
    "degenerative change",
    "emphysema",
    "infection",
    "granuloma",
}

# What an image shows by itself: findings that never speak of it, or of its like, leave no ground for it.
_NEEDS = (
    "pneumothorax, fracture, dislocation, hemorrhage, infarct, reversible defect, metastasis, torsion, "
    "abscess, dissection, thrombus, embolism, occlusion, severe stenosis, obstruction, free air, perforation, "
    "free fluid, hydronephrosis, stone, mass effect, midline shift, hydrocephalus, restricted diffusion, cord "
    "compression, tamponade, volvulus, intussusception, ectopic, craniosynostosis, vegetation, "
    "pneumomediastinum, ischemic bowel"
)
NEEDS_MENTION = frozenset(_NEEDS.split(", "))


@cache
def concepts() -> Phrases[str]:
    """The table of concepts; look words up without their plurals."""
    return Phrases(_CONCEPTS, stems=True)


@cache
def related(name: str) -> frozenset[str]:
    """The concept and those that say nearly the same."""
    return frozenset([name]).union(*(family for family in _FAMILIES if name in family))
