"""What the synthetic corpus knows of each modality: exams, structures, pathology.

Braces are slots: {side} {size} {severity} are common to all, {level} and {place} are the exam's own.
A pathology's finding and phrase carry the same slots, so that the impression follows from the findings.
"""

from __future__ import annotations

from dataclasses import dataclass

from radimpress.reports.report import Modality


@dataclass(frozen=True, slots=True)
class Pathology:
    """Something abnormal.

    Attributes:
        structure: the normal statement that it takes the place of.
        findings: sentences, any of which may state it.
        phrase: the conclusion, a noun phrase with its article.
        recommendation: a noun phrase; empty for nothing.
    """

    structure: str
    findings: tuple[str, ...]
    phrase: str
    recommendation: str = ""


@dataclass(frozen=True, slots=True)
class Exam:
    """One kind of examination.

    Attributes:
        name: as ordered.
        modality: what it scans with.
        indications: why people order it.
        normal: structure -> sentences, any of which states that it is normal; in anatomical order.
        negative: the conclusion when nothing (else) is wrong, a noun phrase.
        pathologies: most important first.
        places: what {place} may be.
        levels: what {level} may be.
        one_side: whether a report is about one side only.
        share: of its modality's reports, beside the other exams'.
    """

    name: str
    modality: Modality
    indications: tuple[str, ...]
    normal: dict[str, tuple[str, ...]]
    negative: str
    pathologies: tuple[Pathology, ...]
    places: tuple[str, ...] = ("",)
    levels: tuple[str, ...] = ("",)
    one_side: bool = False
    share: float = 1.0


_P = Pathology
_LUNG_PLACES = ("right upper lobe", "right lower lobe", "left upper lobe", "left lower lobe", "right middle lobe")

EXAMS: tuple[Exam, ...] = (
    Exam(
        "MRI lumbar spine",
        Modality.MR,
        ("low back pain", "sciatica", "leg weakness"),
        {
            "alignment": ("Vertebral alignment is maintained.", "Lumbar lordosis and alignment are normal."),
            "marrow": ("Marrow signal is within normal limits.", "No suspicious marrow lesion."),
            "discs": ("Disc heights and signal are preserved.", "The intervertebral discs are normal."),
            "canal": ("The spinal canal is patent at all levels.", "No spinal canal stenosis."),
            "conus": ("The conus ends at L1 and is normal.", "Conus medullaris is unremarkable."),
            "soft tissues": ("Paraspinal soft tissues are normal.", "Paravertebral muscles are unremarkable."),
        },
        "no other significant lumbar spine abnormality",
        (
            _P(
                "marrow",
                (
                    "Acute compression fracture of {place} with {severity} height loss and marrow edema.",
                    "{place} vertebral body shows an acute compression fracture, {severity} height loss.",
                ),
                "an acute compression fracture of {place} with {severity} height loss",
                "spine surgery consultation",
            ),
            _P(
                "discs",
                (
                    "At {level} there is a {size} {side} paracentral disc extrusion.",
                    "{level}: {side} paracentral disc extrusion measuring {size}.",
                ),
                "a {size} {side} paracentral disc extrusion at {level}",
                "correlation with the {side} radicular symptoms",
            ),
            _P(
                "canal",
                (
                    "There is {severity} spinal canal stenosis at {level}.",
                    "{level}: {severity} canal stenosis from facet and ligament hypertrophy.",
                ),
                "{severity} spinal canal stenosis at {level}",
                "spine clinic referral",
            ),
            _P(
                "discs",
                (
                    "Disc bulge at {level} with {severity} {side} foraminal narrowing.",
                    "{level}: broad-based disc bulge, {severity} {side} foraminal narrowing.",
                ),
                "a disc bulge at {level} with {severity} {side} foraminal narrowing",
            ),
            _P(
                "alignment",
                ("Grade 1 anterolisthesis is seen at {level}.", "There is grade 1 anterolisthesis at {level}."),
                "a grade 1 anterolisthesis at {level}",
                "flexion and extension radiographs",
            ),
        ),
        places=("L1", "L2", "L3", "L4"),
        levels=("L2-L3", "L3-L4", "L4-L5", "L5-S1"),
    ),
    Exam(
        "MRI brain",
        Modality.MR,
        ("headache", "dizziness", "new focal deficit", "seizure"),
        {
            "diffusion": ("No restricted diffusion.", "Diffusion-weighted images show no acute infarct."),
            "parenchyma": ("Brain parenchyma is normal in signal.", "Gray-white differentiation is preserved."),
            "ventricles": ("The ventricles are normal in size.", "Ventricles and sulci are age appropriate."),
            "extra-axial": ("No extra-axial collection.", "There is no extra-axial fluid collection."),
            "vessels": ("Major flow voids are preserved.", "Vascular flow voids are normal."),
            "sinuses": ("Paranasal sinuses are clear.", "Visualized sinuses and mastoids are clear."),
        },
        "no other acute intracranial abnormality",
        (
            _P(
                "diffusion",
                (
                    "Restricted diffusion in the {side} {place} measuring {size}, in keeping with acute infarct.",
                    "There is a {size} acute infarct in the {side} {place}.",
                ),
                "a {size} acute infarct in the {side} {place}",
                "urgent neurology referral",
            ),
            _P(
                "extra-axial",
                (
                    "{severity} subdural collection over the {side} convexity measuring {size}.",
                    "A {side} convexity subdural collection, {severity}, measures {size}.",
                ),
                "a {severity} {side} subdural collection measuring {size}",
                "neurosurgical consultation",
            ),
            _P(
                "parenchyma",
                (
                    "A {size} enhancing mass lies in the {side} {place}.",
                    "Enhancing mass in the {side} {place} measuring {size}.",
                ),
                "a {size} enhancing mass in the {side} {place}",
                "neurosurgical consultation",
            ),
            _P(
                "parenchyma",
                (
                    "There are {severity} white matter changes of chronic small vessel disease.",
                    "Periventricular white matter shows {severity} chronic small vessel ischemic change.",
                ),
                "{severity} chronic small vessel ischemic change",
            ),
            _P(
                "sinuses",
                (
                    "There is {severity} mucosal thickening in the {side} maxillary sinus.",
                    "The {side} maxillary sinus shows {severity} mucosal thickening.",
                ),
                "{severity} {side} maxillary sinus mucosal thickening",
            ),
        ),
        places=("frontal lobe", "parietal lobe", "temporal lobe", "cerebellum", "thalamus"),
    ),
    Exam(
        "MRI knee",
        Modality.MR,
        ("knee pain", "twisting injury", "locking"),
        {
            "menisci": ("Medial and lateral menisci are intact.", "The menisci show no tear."),
            "ligaments": ("Cruciate and collateral ligaments are intact.", "ACL, PCL, MCL and LCL are intact."),
            "cartilage": ("Articular cartilage is preserved.", "No focal cartilage defect."),
            "marrow": ("No marrow edema or fracture.", "Bone marrow signal is normal."),
            "extensor": ("The extensor mechanism is intact.", "Quadriceps and patellar tendons are intact."),
            "fluid": ("No joint effusion.", "There is no significant joint effusion."),
        },
        "no other internal derangement",
        (
            _P(
                "ligaments",
                (
                    "Complete tear of the {side} anterior cruciate ligament.",
                    "The {side} anterior cruciate ligament is completely torn.",
                ),
                "a complete tear of the {side} anterior cruciate ligament",
                "orthopedic referral",
            ),
            _P(
                "menisci",
                (
                    "A {place} tear of the {side} medial meniscus measures {size}.",
                    "{side} medial meniscus: {place} tear measuring {size}.",
                ),
                "a {size} {place} tear of the {side} medial meniscus",
                "orthopedic referral",
            ),
            _P(
                "marrow",
                (
                    "Bone contusion of the {side} lateral femoral condyle with {severity} edema.",
                    "There is {severity} contusion edema of the {side} lateral femoral condyle.",
                ),
                "a {side} lateral femoral condyle contusion with {severity} edema",
            ),
            _P(
                "cartilage",
                (
                    "A {size} full-thickness cartilage defect of the {side} patella.",
                    "{side} patella has a full-thickness cartilage defect of {size}.",
                ),
                "a {size} full-thickness cartilage defect of the {side} patella",
            ),
            _P(
                "fluid",
                ("There is a {severity} {side} knee joint effusion.", "{severity} joint effusion of the {side} knee."),
                "a {severity} {side} knee joint effusion",
            ),
        ),
        places=("horizontal", "radial", "complex", "vertical"),
        one_side=True,
    ),
    Exam(
        "MRI shoulder",
        Modality.MR,
        ("shoulder pain", "weakness on abduction"),
        {
            "cuff": ("The rotator cuff is intact.", "Rotator cuff tendons are normal."),
            "biceps": ("The long head of the biceps is in its groove.", "Biceps tendon is intact."),
            "labrum": ("The glenoid labrum is intact.", "No labral tear."),
            "joint": ("The acromioclavicular joint is normal.", "Acromioclavicular joint is unremarkable."),
            "bursa": ("No subacromial bursal fluid.", "The subacromial bursa is normal."),
            "marrow": ("Marrow signal is normal.", "No fracture or marrow edema."),
        },
        "no other shoulder abnormality",
        (
            _P(
                "cuff",
                (
                    "Full-thickness tear of the {side} {place} tendon measuring {size}.",
                    "The {side} {place} tendon has a full-thickness tear of {size}.",
                ),
                "a {size} full-thickness tear of the {side} {place} tendon",
                "orthopedic referral",
            ),
            _P(
                "cuff",
                (
                    "Tendinosis of the {side} {place} tendon, {severity}.",
                    "There is {severity} tendinosis of the {side} {place} tendon.",
                ),
                "{severity} tendinosis of the {side} {place} tendon",
            ),
            _P(
                "labrum",
                ("There is a tear of the {side} superior labrum.", "{side} superior labrum is torn."),
                "a tear of the {side} superior labrum",
                "MR arthrography",
            ),
            _P(
                "joint",
                (
                    "There is {severity} {side} acromioclavicular joint arthrosis.",
                    "{side} acromioclavicular joint shows {severity} arthrosis.",
                ),
                "{severity} {side} acromioclavicular joint arthrosis",
            ),
            _P(
                "bursa",
                (
                    "There is {severity} {side} subacromial bursitis.",
                    "{side} subacromial bursa shows {severity} bursitis.",
                ),
                "{severity} {side} subacromial bursitis",
            ),
        ),
        places=("supraspinatus", "infraspinatus", "subscapularis"),
        one_side=True,
    ),
    Exam(
        "CT chest",
        Modality.CT,
        ("cough", "weight loss", "nodule follow-up"),
        {
            "airways": ("The central airways are patent.", "Trachea and main bronchi are patent."),
            "lungs": ("The lungs are clear.", "No pulmonary nodule or consolidation."),
            "pleura": ("No pleural effusion.", "There is no pleural effusion or pneumothorax."),
            "nodes": ("No enlarged mediastinal nodes.", "Mediastinal and hilar nodes are not enlarged."),
            "heart": ("Heart size is normal.", "The heart and pericardium are normal."),
            "bones": ("No aggressive osseous lesion.", "The visualized bones are unremarkable."),
        },
        "no other acute thoracic abnormality",
        (
            _P(
                "lungs",
                (
                    "A {size} spiculated nodule is seen in the {place}.",
                    "Spiculated nodule in the {place} measuring {size}.",
                ),
                "a {size} spiculated nodule in the {place}",
                "PET/CT or tissue sampling",
            ),
            _P(
                "lungs",
                (
                    "There is {severity} consolidation in the {place}.",
                    "{severity} airspace consolidation of the {place}.",
                ),
                "{severity} consolidation in the {place}",
                "chest imaging after treatment",
            ),
            _P(
                "nodes",
                ("An enlarged {side} hilar node measures {size}.", "{side} hilar node is enlarged, measuring {size}."),
                "an enlarged {side} hilar node measuring {size}",
            ),
            _P(
                "pleura",
                ("There is a {severity} {side} pleural effusion.", "{severity} pleural effusion on the {side}."),
                "a {severity} {side} pleural effusion",
            ),
            _P(
                "lungs",
                ("There is {severity} upper lobe emphysema.", "{severity} centrilobular emphysema in the upper lobes."),
                "{severity} upper lobe emphysema",
            ),
        ),
        places=_LUNG_PLACES,
    ),
    Exam(
        "CT abdomen and pelvis",
        Modality.CT,
        ("abdominal pain", "flank pain", "fever"),
        {
            "liver": ("The liver is normal in size and density.", "No focal hepatic lesion."),
            "gallbladder": ("The gallbladder is unremarkable.", "Gallbladder and bile ducts are normal."),
            "kidneys": ("The kidneys enhance symmetrically without stones.", "No renal stone or hydronephrosis."),
            "bowel": ("Bowel loops are normal in caliber.", "No bowel obstruction or wall thickening."),
            "appendix": ("The appendix is normal.", "Normal appendix is seen."),
            "fluid": ("No free fluid or free air.", "There is no free fluid."),
        },
        "no other acute abdominal abnormality",
        (
            _P(
                "appendix",
                (
                    "The appendix is dilated to {level} with {severity} fat stranding.",
                    "Dilated appendix measuring {level} with {severity} periappendiceal stranding.",
                ),
                "acute appendicitis with an appendix of {level} and {severity} stranding",
                "surgical consultation",
            ),
            _P(
                "kidneys",
                (
                    "A {size} stone in the {side} ureter causes {severity} hydronephrosis.",
                    "{side} ureteral stone measuring {size} with {severity} hydronephrosis.",
                ),
                "a {size} {side} ureteral stone with {severity} hydronephrosis",
                "urology referral",
            ),
            _P(
                "bowel",
                (
                    "There is {severity} diverticulitis of the {place}.",
                    "{place} shows wall thickening with {severity} diverticulitis.",
                ),
                "{severity} diverticulitis of the {place}",
                "colonoscopy after recovery",
            ),
            _P(
                "liver",
                (
                    "A {size} hypodense lesion lies in the {side} hepatic lobe.",
                    "{side} hepatic lobe contains a hypodense lesion of {size}.",
                ),
                "a {size} hypodense lesion in the {side} hepatic lobe",
                "liver MRI",
            ),
            _P(
                "gallbladder",
                (
                    "There is a gallstone measuring {size} without wall thickening.",
                    "A {size} gallstone lies in the gallbladder.",
                ),
                "a {size} gallstone",
            ),
        ),
        places=("sigmoid colon", "descending colon"),
        levels=("9 mm", "11 mm", "13 mm"),
    ),
    Exam(
        "CT head",
        Modality.CT,
        ("fall", "headache", "altered mental status"),
        {
            "hemorrhage": ("No intracranial hemorrhage.", "There is no acute hemorrhage."),
            "parenchyma": ("Gray-white differentiation is preserved.", "No loss of gray-white differentiation."),
            "ventricles": ("The ventricles are normal in size.", "Ventricles and cisterns are normal."),
            "midline": ("No midline shift.", "There is no mass effect or midline shift."),
            "bones": ("No skull fracture.", "The calvarium is intact."),
            "sinuses": ("Paranasal sinuses are clear.", "Sinuses and mastoid air cells are clear."),
        },
        "no other acute intracranial abnormality",
        (
            _P(
                "hemorrhage",
                (
                    "A {size} hyperdense hemorrhage is seen in the {side} {place}.",
                    "Acute hemorrhage in the {side} {place} measuring {size}.",
                ),
                "a {size} acute hemorrhage in the {side} {place}",
                "urgent neurosurgical consultation",
            ),
            _P(
                "midline",
                ("Midline shift of {size} to the {side}.", "There is {size} of midline shift to the {side}."),
                "a midline shift of {size} to the {side}",
                "urgent neurosurgical consultation",
            ),
            _P(
                "bones",
                (
                    "Nondisplaced fracture of the {side} {level} bone.",
                    "There is a nondisplaced {side} {level} bone fracture.",
                ),
                "a nondisplaced {side} {level} bone fracture",
            ),
            _P(
                "ventricles",
                ("There is {severity} ventricular enlargement.", "The ventricles show {severity} enlargement."),
                "{severity} ventricular enlargement",
            ),
            _P(
                "parenchyma",
                (
                    "An old infarct of {size} is seen in the {side} {place}.",
                    "{side} {place} shows an old infarct of {size}.",
                ),
                "an old {size} infarct in the {side} {place}",
            ),
        ),
        places=("basal ganglia", "frontal lobe", "temporal lobe", "cerebellum"),
        levels=("temporal", "parietal", "occipital"),
    ),
    Exam(
        "Chest radiograph",
        Modality.CR,
        ("cough", "shortness of breath", "fever", "chest pain"),
        {
            "lungs": ("The lungs are clear.", "No focal consolidation."),
            "pleura": ("No pleural effusion or pneumothorax.", "The costophrenic angles are sharp."),
            "heart": ("Heart size is normal.", "The cardiac silhouette is normal in size."),
            "mediastinum": ("Mediastinal contours are normal.", "The mediastinum is unremarkable."),
            "bones": ("The osseous structures are intact.", "No acute bony abnormality."),
        },
        "no other acute cardiopulmonary abnormality",
        (
            _P(
                "pleura",
                (
                    "There is a {severity} {side} pneumothorax measuring {size}.",
                    "{side} pneumothorax, {severity}, measuring {size} at the apex.",
                ),
                "a {severity} {side} pneumothorax measuring {size}",
                "urgent clinical review",
            ),
            _P(
                "lungs",
                (
                    "There is {severity} airspace opacity in the {place}.",
                    "{severity} consolidation is seen in the {place}.",
                ),
                "{severity} airspace opacity in the {place}",
                "a repeat radiograph in 6 weeks",
            ),
            _P(
                "pleura",
                ("There is a {severity} {side} pleural effusion.", "{severity} pleural effusion on the {side}."),
                "a {severity} {side} pleural effusion",
            ),
            _P(
                "lungs",
                ("A {size} nodule projects over the {place}.", "Nodular opacity of {size} in the {place}."),
                "a {size} nodule in the {place}",
                "chest CT",
            ),
            _P(
                "heart",
                ("There is {severity} cardiomegaly.", "The heart shows {severity} enlargement."),
                "{severity} cardiomegaly",
            ),
        ),
        places=_LUNG_PLACES,
    ),
    Exam(
        "Abdominal radiograph",
        Modality.CR,
        ("abdominal pain", "vomiting", "constipation"),
        {
            "gas": ("The bowel gas pattern is nonobstructive.", "No dilated bowel loops."),
            "air": ("No free air under the diaphragm.", "There is no free intraperitoneal air."),
            "stones": ("No radiopaque calculi.", "There is no abnormal calcification."),
            "organs": ("The visible organ outlines are normal.", "No organomegaly is seen."),
            "bones": ("The osseous structures are intact.", "No acute bony abnormality."),
        },
        "no other acute abdominal abnormality",
        (
            _P(
                "air",
                (
                    "Free air is seen under the {side} hemidiaphragm.",
                    "There is free air below the {side} hemidiaphragm.",
                ),
                "free air under the {side} hemidiaphragm",
                "urgent surgical consultation",
            ),
            _P(
                "gas",
                ("Small bowel loops are dilated to {level}.", "There are dilated small bowel loops measuring {level}."),
                "dilated small bowel loops of {level}",
                "CT of the abdomen",
            ),
            _P(
                "stones",
                ("A {size} calculus projects over the {side} kidney.", "{side} renal calculus measuring {size}."),
                "a {size} {side} renal calculus",
                "renal ultrasound",
            ),
            _P(
                "gas",
                ("There is {severity} fecal loading of the {place}.", "{severity} stool burden in the {place}."),
                "{severity} fecal loading of the {place}",
            ),
            _P(
                "bones",
                (
                    "There is {severity} {side} hip joint space narrowing.",
                    "{side} hip shows {severity} joint space narrowing.",
                ),
                "{severity} {side} hip joint space narrowing",
            ),
        ),
        places=("ascending colon", "descending colon", "rectum"),
        levels=("3.4 cm", "3.9 cm", "4.6 cm"),
        share=0.3,
    ),
    Exam(
        "Radiograph of the hand",
        Modality.XR,
        ("trauma", "joint pain"),
        {
            "bones": ("No acute fracture.", "The bones are intact."),
            "joints": ("Joint spaces are preserved.", "The joints are normally aligned."),
            "density": ("Bone mineral density is normal.", "Mineralization is within normal limits."),
            "erosions": ("No erosions.", "There is no erosive change."),
            "soft tissues": ("Soft tissues are unremarkable.", "No soft tissue swelling."),
        },
        "no other osseous abnormality",
        (
            _P(
                "bones",
                (
                    "Displaced fracture of the {side} {place} with {level} of displacement.",
                    "{side} {place} fracture, displaced by {level}.",
                ),
                "a {side} {place} fracture displaced by {level}",
                "orthopedic referral",
            ),
            _P(
                "bones",
                ("Nondisplaced fracture of the {side} {place}.", "There is a nondisplaced {side} {place} fracture."),
                "a nondisplaced {side} {place} fracture",
                "immobilization and a repeat radiograph in 10 days",
            ),
            _P(
                "erosions",
                (
                    "Marginal erosions of the {side} {place}, {severity}.",
                    "There are {severity} marginal erosions of the {side} {place}.",
                ),
                "{severity} marginal erosions of the {side} {place}",
            ),
            _P(
                "joints",
                (
                    "There is {severity} osteoarthritis of the {side} first carpometacarpal joint.",
                    "{side} first carpometacarpal joint shows {severity} osteoarthritis.",
                ),
                "{severity} osteoarthritis of the {side} first carpometacarpal joint",
            ),
            _P(
                "soft tissues",
                (
                    "There is {severity} soft tissue swelling of the {side} hand.",
                    "{severity} swelling of the {side} hand.",
                ),
                "{severity} soft tissue swelling of the {side} hand",
            ),
        ),
        places=("fifth metacarpal", "second metacarpal", "distal radius", "scaphoid"),
        levels=("2 mm", "3 mm", "5 mm"),
        one_side=True,
    ),
    Exam(
        "Radiograph of the ankle",
        Modality.XR,
        ("inversion injury", "ankle pain"),
        {
            "malleoli": ("The malleoli are intact.", "No malleolar fracture."),
            "mortise": ("The ankle mortise is congruent.", "Ankle mortise is preserved."),
            "talus": ("The talar dome is smooth.", "No osteochondral lesion of the talus."),
            "heel": ("The calcaneus is normal.", "No calcaneal abnormality."),
            "soft tissues": ("Soft tissues are unremarkable.", "No soft tissue swelling."),
        },
        "no other ankle abnormality",
        (
            _P(
                "malleoli",
                (
                    "Oblique fracture of the {side} lateral malleolus displaced by {level}.",
                    "{side} lateral malleolus fracture, displaced by {level}.",
                ),
                "a {side} lateral malleolus fracture displaced by {level}",
                "orthopedic referral",
            ),
            _P(
                "mortise",
                ("The {side} ankle mortise is widened to {level}.", "Widening of the {side} ankle mortise to {level}."),
                "widening of the {side} ankle mortise to {level}",
                "orthopedic referral",
            ),
            _P(
                "talus",
                (
                    "A {size} osteochondral lesion of the {side} talar dome.",
                    "{side} talar dome has an osteochondral lesion of {size}.",
                ),
                "a {size} osteochondral lesion of the {side} talar dome",
                "MRI of the ankle",
            ),
            _P(
                "soft tissues",
                (
                    "There is {severity} {side} lateral soft tissue swelling.",
                    "{severity} swelling lateral to the {side} ankle.",
                ),
                "{severity} {side} lateral soft tissue swelling",
            ),
            _P(
                "heel",
                ("There is a {severity} {side} plantar calcaneal spur.", "{side} plantar calcaneal spur, {severity}."),
                "a {severity} {side} plantar calcaneal spur",
            ),
        ),
        levels=("6 mm", "7 mm", "9 mm"),
        one_side=True,
    ),
    Exam(
        "Ultrasound abdomen",
        Modality.US,
        ("right upper quadrant pain", "abnormal liver tests"),
        {
            "liver": ("The liver is normal in echotexture.", "Hepatic echotexture is homogeneous."),
            "gallbladder": ("No gallstones or wall thickening.", "The gallbladder is normal."),
            "ducts": ("The common bile duct is not dilated.", "No biliary dilatation."),
            "kidneys": ("The kidneys are normal without hydronephrosis.", "No hydronephrosis on either side."),
            "fluid": ("No ascites.", "There is no free fluid."),
        },
        "no other sonographic abnormality",
        (
            _P(
                "gallbladder",
                (
                    "Gallstones up to {size} with {severity} gallbladder wall thickening.",
                    "There are gallstones measuring up to {size} and {severity} wall thickening.",
                ),
                "gallstones up to {size} with {severity} gallbladder wall thickening",
                "surgical consultation",
            ),
            _P(
                "ducts",
                ("The common bile duct is dilated to {level}.", "Dilated common bile duct measuring {level}."),
                "a common bile duct dilated to {level}",
                "MRCP",
            ),
            _P(
                "kidneys",
                ("There is {severity} {side} hydronephrosis.", "{side} kidney shows {severity} hydronephrosis."),
                "{severity} {side} hydronephrosis",
                "urology referral",
            ),
            _P(
                "liver",
                (
                    "A {size} echogenic lesion in the {side} hepatic lobe.",
                    "{side} hepatic lobe has an echogenic lesion measuring {size}.",
                ),
                "a {size} echogenic lesion in the {side} hepatic lobe",
                "liver MRI",
            ),
            _P(
                "liver",
                (
                    "There is {severity} hepatic steatosis.",
                    "The liver shows {severity} fatty change in keeping with steatosis.",
                ),
                "{severity} hepatic steatosis",
            ),
        ),
        levels=("9 mm", "11 mm", "14 mm"),
    ),
    Exam(
        "Ultrasound thyroid",
        Modality.US,
        ("palpable nodule", "abnormal thyroid tests"),
        {
            "size": ("The thyroid is normal in size.", "Thyroid volume is normal."),
            "texture": ("Echotexture is homogeneous.", "The gland is homogeneous."),
            "nodules": ("No thyroid nodule.", "There is no focal nodule."),
            "flow": ("Vascularity is normal.", "Color Doppler flow is normal."),
            "nodes": ("No suspicious cervical nodes.", "Cervical nodes are not enlarged."),
        },
        "no other thyroid abnormality",
        (
            _P(
                "nodules",
                (
                    "A {size} solid hypoechoic nodule in the {side} lobe with calcifications.",
                    "{side} lobe: solid hypoechoic nodule with calcifications measuring {size}.",
                ),
                "a {size} suspicious solid nodule in the {side} lobe",
                "fine needle aspiration",
            ),
            _P(
                "nodes",
                (
                    "An enlarged {side} cervical node measures {size}.",
                    "{side} cervical node is enlarged, measuring {size}.",
                ),
                "an enlarged {side} cervical node measuring {size}",
                "fine needle aspiration",
            ),
            _P(
                "nodules",
                ("A {size} cystic nodule in the {side} lobe.", "{side} lobe: cystic nodule measuring {size}."),
                "a {size} cystic nodule in the {side} lobe",
            ),
            _P(
                "texture",
                (
                    "The gland is heterogeneous with {severity} thyroiditis change.",
                    "There is {severity} heterogeneous change of thyroiditis.",
                ),
                "{severity} thyroiditis change",
                "correlation with thyroid antibodies",
            ),
            _P(
                "size",
                ("There is {severity} enlargement of the thyroid.", "The thyroid shows {severity} enlargement."),
                "{severity} thyroid enlargement",
            ),
        ),
    ),
    Exam(
        "Venous ultrasound of the leg",
        Modality.US,
        ("leg swelling", "calf pain"),
        {
            "femoral": ("The common femoral vein is compressible.", "Common femoral vein is patent and compressible."),
            "thigh": ("The femoral vein is patent through the thigh.", "Femoral vein shows normal flow."),
            "popliteal": ("The popliteal vein is compressible.", "Popliteal vein is patent."),
            "calf": ("Visualized calf veins are patent.", "Calf veins are compressible."),
            "soft tissues": ("No popliteal fluid collection.", "Soft tissues are unremarkable."),
        },
        "no other venous abnormality",
        (
            _P(
                "femoral",
                (
                    "Occlusive thrombus in the {side} common femoral vein over {level}.",
                    "{side} common femoral vein: occlusive thrombus over {level}.",
                ),
                "an occlusive thrombus of the {side} common femoral vein over {level}",
                "anticoagulation assessment today",
            ),
            _P(
                "popliteal",
                (
                    "Nonocclusive thrombus in the {side} popliteal vein.",
                    "{side} popliteal vein contains nonocclusive thrombus.",
                ),
                "a nonocclusive thrombus of the {side} popliteal vein",
                "anticoagulation assessment today",
            ),
            _P(
                "calf",
                ("Thrombus in a {side} calf vein over {level}.", "{side} calf vein thrombus over {level}."),
                "a {side} calf vein thrombus over {level}",
                "a repeat study in 1 week",
            ),
            _P(
                "soft tissues",
                ("A {size} popliteal cyst behind the {side} knee.", "{side} popliteal cyst measuring {size}."),
                "a {size} {side} popliteal cyst",
            ),
            _P(
                "soft tissues",
                ("There is {severity} subcutaneous edema of the {side} calf.", "{severity} edema in the {side} calf."),
                "{severity} subcutaneous edema of the {side} calf",
            ),
        ),
        levels=("2.2 cm", "3.5 cm", "5.1 cm"),
        one_side=True,
        share=0.7,
    ),
    Exam(
        "Bone scan",
        Modality.NM,
        ("known prostate cancer", "bone pain"),
        {
            "spine": ("Uptake in the spine is symmetric.", "No focal spinal uptake."),
            "ribs": ("Rib uptake is normal.", "No focal rib uptake."),
            "pelvis": ("Pelvic uptake is symmetric.", "No focal pelvic uptake."),
            "limbs": ("Uptake in the long bones is normal.", "No abnormal uptake in the extremities."),
            "kidneys": ("Both kidneys are visualized.", "Renal excretion is normal."),
        },
        "no other focus of abnormal uptake",
        (
            _P(
                "spine",
                (
                    "Intense focal uptake at {level} suspicious for metastasis.",
                    "{level} shows intense focal uptake, suspicious for metastasis.",
                ),
                "focal uptake at {level} suspicious for metastasis",
                "MRI of the spine",
            ),
            _P(
                "pelvis",
                (
                    "Focal uptake in the {side} iliac bone, {severity}.",
                    "There is {severity} focal uptake in the {side} iliac bone.",
                ),
                "{severity} focal uptake in the {side} iliac bone",
                "CT of the pelvis",
            ),
            _P(
                "ribs",
                (
                    "Linear uptake in the {side} {place} in keeping with fracture.",
                    "{side} {place} shows linear uptake of fracture.",
                ),
                "a fracture of the {side} {place}",
            ),
            _P(
                "limbs",
                (
                    "There is {severity} degenerative uptake in the {side} knee.",
                    "{side} knee shows {severity} degenerative uptake.",
                ),
                "{severity} degenerative uptake in the {side} knee",
            ),
            _P(
                "kidneys",
                (
                    "Reduced excretion of the {side} kidney, {severity}.",
                    "The {side} kidney shows {severity} reduction of excretion.",
                ),
                "{severity} reduction of {side} renal excretion",
                "renal ultrasound",
            ),
        ),
        places=("sixth rib", "eighth rib", "ninth rib"),
        levels=("T8", "T11", "L1", "L3"),
    ),
    Exam(
        "Hepatobiliary scan",
        Modality.NM,
        ("right upper quadrant pain", "biliary colic"),
        {
            "liver": ("Hepatic uptake is prompt and homogeneous.", "Prompt radiotracer uptake by the liver."),
            "gallbladder": ("The gallbladder fills within 60 minutes.", "Gallbladder is seen at 30 minutes."),
            "ejection": ("Gallbladder ejection fraction is normal.", "Normal gallbladder emptying."),
            "ducts": ("The common bile duct is seen promptly.", "Prompt visualization of the bile ducts."),
            "bowel": ("Tracer reaches the small bowel.", "Small bowel activity is seen on time."),
        },
        "no other scintigraphic abnormality",
        (
            _P(
                "gallbladder",
                (
                    "The gallbladder is not seen at 4 hours, in keeping with acute cholecystitis.",
                    "Nonvisualization of the gallbladder at 4 hours suggests acute cholecystitis.",
                ),
                "nonvisualization of the gallbladder at 4 hours, in keeping with acute cholecystitis",
                "surgical consultation",
            ),
            _P(
                "ducts",
                (
                    "A bile leak is seen at the {place}.",
                    "There is extravasation of tracer at the {place}, a bile leak.",
                ),
                "a bile leak at the {place}",
                "urgent surgical consultation",
            ),
            _P(
                "bowel",
                ("There is {severity} delay of small bowel activity.", "Small bowel activity shows {severity} delay."),
                "{severity} delay of small bowel activity",
                "MRCP",
            ),
            _P(
                "ejection",
                (
                    "Gallbladder ejection fraction shows {severity} reduction.",
                    "There is {severity} reduction of the gallbladder ejection fraction.",
                ),
                "{severity} reduction of the gallbladder ejection fraction",
            ),
            _P(
                "liver",
                ("There is {severity} delay of hepatic uptake.", "Hepatic uptake shows {severity} delay."),
                "{severity} delay of hepatic uptake",
            ),
        ),
        places=("cystic duct stump", "gallbladder fossa"),
    ),
    Exam(
        "Bone density study",
        Modality.OTHER,
        ("osteoporosis screening", "long-term steroid use"),
        {
            "spine": ("Lumbar spine density is normal.", "Density of L1 to L4 is within normal limits."),
            "hip": ("Total hip density is normal.", "Hip density is within normal limits."),
            "neck": ("Femoral neck density is normal.", "The femoral neck is normal in density."),
            "forearm": ("Forearm density is normal.", "Distal radius density is within normal limits."),
            "quality": ("Positioning is adequate.", "The study is technically adequate."),
        },
        "no other low bone density",
        (
            _P(
                "hip",
                (
                    "{side} total hip density is in the range of {place}.",
                    "Density of the {side} total hip is in the {place} range.",
                ),
                "{place} of the {side} total hip",
                "treatment assessment",
            ),
            _P(
                "neck",
                (
                    "{side} femoral neck density is in the range of {place}.",
                    "Density of the {side} femoral neck is in the {place} range.",
                ),
                "{place} of the {side} femoral neck",
                "treatment assessment",
            ),
            _P(
                "spine",
                (
                    "Lumbar spine density is in the range of {place}.",
                    "Density of {level} is in the {place} range, as is the lumbar spine.",
                ),
                "{place} of the lumbar spine",
                "treatment assessment",
            ),
            _P(
                "forearm",
                (
                    "{side} forearm density is in the range of {place}.",
                    "Density of the {side} forearm is in the {place} range.",
                ),
                "{place} of the {side} forearm",
            ),
            _P(
                "spine",
                (
                    "There is {severity} degenerative change at {level} that raises density.",
                    "{level} shows {severity} degenerative change, which raises density.",
                ),
                "{severity} degenerative change at {level}",
            ),
        ),
        places=("osteopenia", "osteoporosis"),
        levels=("L2", "L3", "L4"),
    ),
    Exam(
        "Upper gastrointestinal series",
        Modality.OTHER,
        ("reflux", "dysphagia", "weight loss"),
        {
            "esophagus": ("The esophagus is normal in caliber.", "Esophageal motility and caliber are normal."),
            "junction": ("The gastroesophageal junction is normal.", "No hiatal hernia."),
            "stomach": ("The gastric folds are normal.", "Stomach distends normally."),
            "duodenum": ("The duodenum is normal.", "Duodenal bulb and sweep are normal."),
            "emptying": ("Gastric emptying is prompt.", "Contrast empties promptly."),
        },
        "no other upper gastrointestinal abnormality",
        (
            _P(
                "esophagus",
                ("A {size} stricture is seen in the {place}.", "There is a stricture of {size} in the {place}."),
                "a {size} stricture in the {place}",
                "endoscopy",
            ),
            _P(
                "stomach",
                ("A {size} ulcer lies on the {level} of the stomach.", "Gastric ulcer of {size} on the {level}."),
                "a {size} gastric ulcer on the {level}",
                "endoscopy",
            ),
            _P(
                "junction",
                (
                    "There is a {severity} hiatal hernia measuring {size}.",
                    "Hiatal hernia, {severity}, measuring {size}.",
                ),
                "a {severity} hiatal hernia measuring {size}",
            ),
            _P(
                "junction",
                ("There is {severity} gastroesophageal reflux.", "{severity} gastroesophageal reflux is seen."),
                "{severity} gastroesophageal reflux",
            ),
            _P(
                "emptying",
                ("There is {severity} delay of gastric emptying.", "Gastric emptying shows {severity} delay."),
                "{severity} delay of gastric emptying",
            ),
        ),
        places=("distal esophagus", "mid esophagus"),
        levels=("lesser curvature", "greater curvature"),
    ),
)
