"""Organs and body parts under one name, whatever they or their diseases are called, and what holds what."""

from __future__ import annotations

from functools import cache

from radimpress.eval.checks.phrases import Phrases

_ORGANS: dict[str, str] = {
    # head and neck
    "brain": (
        "brain, cerebral, cerebrum, cerebellum, cerebellar, intracranial, white matter, gray matter, basal ganglia, "
        "thalamus, thalamic, hippocampus, cortical sulci, frontal lobe, parietal lobe, temporal lobe, occipital lobe, "
        "brainstem, pons, pontine, midbrain, corpus callosum, periventricular, subarachnoid, subdural, epidural "
        "hematoma, extra - axial, extraaxial, intra - axial, ventricle, ventricular enlargement, "
        "hydrocephalus, midline shift, microvascular, encephalo*, mening*, glio*, parenchymal volume, posterior "
        "fossa, supratentorial, infratentorial, centrum semiovale, stroke, cerebro*, neuroparenchyma, "
        "intraventricular, leptomeningeal, territory infarct"
    ),
    "skull": "skull, calvarium, calvarial, cranial, mastoid, cranio*, cranium, skull base, clivus",
    "pituitary": (
        "pituitary, sella, sellar, suprasellar, intrasellar, parasellar, cavernous sinus, macroadenoma, microadenoma"
    ),
    "orbit": "orbit, orbital, globe, optic nerve, extraocular, retro - orbital, eye, ocular, intraocular",
    "sinus": (
        "paranasal sinus, maxillary sinus, ethmoid, sphenoid sinus, frontal sinus, sinusitis, nasal, sinonasal, "
        "ostiomeatal, turbinate, nasopharynx, nasopharyngeal, maxillary antrum, sinus disease, maxillary, sphenoid, "
        "mucosal thickening"
    ),
    "ear": "ear, cochlea, cochlear, temporal bone, middle ear, internal auditory, mastoiditis, otitis, vestibular",
    "face": (
        "facial, face, mandible, mandibular, zygoma, zygomatic, maxilla, tooth, teeth, dental, tmj, "
        "temporomandibular, mandibular condyle"
    ),
    "thyroid": "thyroid, parathyroid, goiter, thyroiditis",
    "salivary": "parotid, submandibular, salivary, sialadenitis, sialolith*",
    "neck": (
        "neck, larynx, laryngeal, pharynx, epiglottis, tonsil, vocal cord, tongue, oropharynx, hypopharynx, "
        "prevertebral, supraglottic, cervical lymph, cervical node, cervical nodal, cervical chain, cervical "
        "adenopathy, cervical lymphadenopathy"
    ),
    "carotid": "carotid, vertebral artery, internal carotid, ica",
    # chest
    "lung": (
        "lung, pulmonary, lobe, lobar, bronch*, airspace, air space, air - space, bibasilar, basilar, hilum, "
        "hilar, hila, lingula, lingular, upper lobe, lower lobe, middle lobe, perihilar, pneumonia, pneumonitis, "
        "emphysema, copd, interstitial lung, pneumo*, atelectasis, granulomatous, retrocardiac, lung base, "
        "apical, apex, midlung, pulmonary artery, pulmonary embolism, costophrenic, hemithorax, airway, trachea, "
        "tracheal, cardiopulmonary, infiltrate, hyperinflation, hyperexpan*, bronchitis, bronchiectasis"
    ),
    "pleura": "pleura, pleural, pneumothorax, hemothorax, pneumothoraces, costophrenic, empyema",
    "heart": (
        "heart, cardiac, cardio*, myocardial, myocardium, left ventricular, right ventricular, ventricular "
        "function, ventricular systolic, ventricular hypertrophy, ventricular septal, ventricular ejection, left "
        "ventricle, right ventricle, atrium, "
        "atrial, coronary, pericardial, pericardium, mitral, tricuspid, ejection fraction, valve, valvular, lvef, lv, "
        "rv, pericarditis, aortic stenosis"
    ),
    "mediastinum": "mediastinum, mediastinal, cardiomediastinal, hilum, hilar, thymus, thymic",
    "aorta": "aorta, aortic, aorto*",
    "esophagus": "esophagus, esophageal, hiatal, gastroesophageal, esophagitis, oesophag*",
    "breast": (
        "breast, mammary, axilla, axillary, fibroglandular, nipple, areola*, mammo*, birad*, bi - rads, implant, "
        "retroareolar"
    ),
    "rib": "rib, sternum, sternal, thoracic cage, chest wall, costal",
    "diaphragm": "diaphragm, hemidiaphragm, diaphragmatic, subdiaphragmatic",
    # abdomen and pelvis
    "liver": (
        "liver, hepatic, hepato*, portal vein, cirrhosis, porta hepatis, intrahepatic, steatosis, hepatitis, "
        "hepatoma, tips"
    ),
    "gallbladder": (
        "gallbladder, gall bladder, biliary, bile duct, common duct, cbd, cholecyst*, cholelith*, gallstone, "
        "choledoch*, cholangi*, cystic duct, murphy"
    ),
    "pancreas": "pancreas, pancreatic, pancreatitis, peripancreatic",
    "spleen": "spleen, splenic, splenomegaly, splenule",
    "kidney": (
        "kidney, renal, intrarenal, nephro*, hydronephrosis, collecting system, pyelonephritis, "
        "nephrolithiasis, caliectasis, "
        "perinephric, pelvicaliectasis, hydroureteronephrosis, calyceal, urinary tract"
    ),
    "adrenal": "adrenal",
    "ureter": (
        "ureter, ureteral, ureteric, hydroureter, ureterovesical, uvj, ureteropelvic, upj, ureterolithiasis, "
        "vesicoureteral"
    ),
    "bladder": "urinary bladder, bladder, vesical, cystitis, vesicoureteral, intravesical, urethra, urethral",
    "stomach": "stomach, gastric, gastritis, duoden*, pylor*, gastro*",
    "bowel": (
        "bowel, colon, colonic, intestine, intestinal, ileus, cecum, cecal, sigmoid, ileum, ileal, jejunum, jejunal, "
        "rectum, rectal, rectosigmoid, diverticul*, colitis, enteritis, ileitis, small - bowel, mesenter*, "
        "intussusception, volvulus, fecal, stool, anastomosis"
    ),
    "appendix": "appendix, appendic*, appendiceal",
    "peritoneum": (
        "peritoneum, peritoneal, ascites, pneumoperitoneum, intraperitoneal, omentum, omental, free air, intra - "
        "abdominal, intraabdominal"
    ),
    "retroperitoneum": "retroperitoneum, retroperitoneal, psoas, iliopsoas",
    "abdominal wall": "abdominal wall, umbilical, inguinal, ventral hernia, rectus",
    "abdomen": "abdomen, abdominal",
    "pelvis": "pelvis, pelvic",
    "uterus": (
        "uterus, uterine, endometrium, endometrial, fibroid, leiomyoma, cervix, myometri*, adenomyosis, vagina, "
        "vaginal, iud, cul - de - sac, endometri*"
    ),
    "ovary": "ovary, ovarian, adnexa, adnexal, fallopian, hydrosalpinx, ovaries, tubo - ovarian",
    "pregnancy": (
        "fetus, fetal, pregnancy, placenta, placental, gestation, gestational, intrauterine, amniotic, yolk sac, "
        "embryo, obstetric, biophysical, cephalic, breech, twin, oligohydramnios, polyhydramnios"
    ),
    "prostate": "prostate, prostatic, seminal vesicle, pi - rads, pirads",
    "scrotum": "testis, testicle, testicular, epididym*, scrotum, scrotal, hydrocele, varicocele, spermatic, orchitis",
    "penis": "penis, penile",
    # bones and joints
    "cervical spine": (
        "cervical spine, cervical lordosis, cervical vertebra, cervical disc, cervical cord, odontoid, dens, "
        "atlanto*, c - spine, c1, c2, c3, c4, c5, c6, c7"
    ),
    "thoracic spine": "thoracic spine, thoracolumbar, dorsal spine, midthoracic",
    "lumbar spine": "lumbar, lumbosacral, l1, l2, l3, l4, l5, thoracolumbar, conus, cauda equina, s1",
    "spine": (
        "spine, spinal, vertebra, vertebral, disc, disk, spondyl*, scoliosis, neural foramen, foraminal, neural "
        "foramina, paraspinal, thecal sac, facet, kyphosis, discitis, diskitis, dextroscoliosis, levoscoliosis, "
        "anterolisthesis, retrolisthesis, listhesis, paracentral"
    ),
    "cord": "spinal cord, cord compression, cord signal, conus, myelopathy, syrinx, cord",
    "sacrum": "sacrum, sacral, coccyx, coccygeal, sacroiliac",
    "shoulder": (
        "shoulder, rotator cuff, supraspinatus, infraspinatus, subscapularis, glenoid, glenohumeral, labrum, "
        "acromioclavicular, acromi*, humeral head, bankart, hill - sachs, biceps tendon, subacromial, scapula, "
        "scapular"
    ),
    "clavicle": "clavicle, clavicular",
    "humerus": "humerus, humeral, arm",
    "elbow": (
        "elbow, olecranon, epicondyle, epicondylitis, radial head, coronoid, radiocapitellar, capitellum, ulnar "
        "nerve, cubital, epicondylar"
    ),
    "forearm": "forearm, radius, ulna, ulnar",
    "wrist": (
        "wrist, carpal, scaphoid, lunate, triangular fibrocartilage, tfcc, scapholunate, triquetr*, distal radius, "
        "ulnar styloid, radiocarpal, capitate, hamate"
    ),
    "hand": (
        "hand, finger, thumb, metacarpal, metacarpophalangeal, interphalangeal, phalanx, phalange, phalangeal, digit"
    ),
    "hip": "hip, acetabul*, femoral head, femoral neck, trochanter*, intertrochanteric, femoroacetabular, femoral",
    "femur": "femur, femoral, thigh",
    "knee": (
        "knee, menisc*, patella*, anterior cruciate, acl, posterior cruciate, pcl, medial collateral, tibial plateau, "
        "femoral condyle, patellofemoral, chondromalacia, baker, tibiofemoral, cruciate, suprapatellar, medial "
        "compartment"
    ),
    "leg": "tibia, tibial, fibula, fibular, leg, calf, shin, lower extremity",
    "ankle": (
        "ankle, malleol*, talus, talar, achilles, talofibular, syndesmo*, tibiotalar, peroneal, tibiofibular, "
        "calcaneofibular, deltoid ligament, mortise, osteochondral lesion of the talus"
    ),
    "foot": (
        "foot, metatars*, calcane*, toe, plantar, navicular, cuboid, lisfranc, hallux, great toe, hindfoot, midfoot, "
        "forefoot, cuneiform, heel"
    ),
    "pelvic bone": "iliac, pubic, pubis, ischial, ischium, ilium, symphysis",
    "deep vein": (
        "deep vein, deep venous, dvt, popliteal vein, femoral vein, saphenous, venous thrombosis, vein thrombosis, "
        "popliteal"
    ),
}

# "a: b c" where a word of b or c in the report gives ground for a in the impression.
_NEAR: dict[str, str] = {
    "brain": "skull head pituitary cord mind",
    "skull": "brain head face sinus ear cervical_spine orbit",
    "pituitary": "brain head",
    "orbit": "face head sinus",
    "sinus": "face head orbit",
    "ear": "skull head face",
    "face": "head sinus orbit skull neck",
    "thyroid": "neck",
    "salivary": "neck face",
    "neck": "thyroid carotid cervical_spine salivary face pharynx",
    "carotid": "neck",
    "lung": "chest pleura mediastinum heart diaphragm",
    "pleura": "lung chest diaphragm",
    "heart": "chest mediastinum aorta lung",
    "mediastinum": "chest heart lung aorta esophagus",
    "aorta": "chest heart mediastinum abdomen aorta arterial",
    "esophagus": "chest mediastinum stomach neck",
    "breast": "",
    "rib": "chest lung pleura clavicle",
    "diaphragm": "chest lung pleura",
    "liver": "gallbladder abdomen",
    "gallbladder": "liver abdomen",
    "pancreas": "abdomen",
    "spleen": "abdomen",
    "kidney": "ureter bladder abdomen adrenal",
    "adrenal": "kidney abdomen",
    "ureter": "kidney bladder abdomen",
    "bladder": "pelvis ureter kidney prostate uterus",
    "stomach": "abdomen bowel esophagus",
    "bowel": "abdomen appendix pelvis peritoneum stomach abdominal_wall",
    "appendix": "bowel",
    "peritoneum": "abdomen pelvis bowel liver diaphragm",
    "retroperitoneum": "abdomen kidney aorta pelvis",
    "abdominal wall": "abdomen pelvis bowel",
    "abdomen": (
        "liver gallbladder pancreas spleen kidney adrenal stomach bowel peritoneum retroperitoneum abdominal_wall"
        " pelvis "
        "appendix ureter"
    ),
    "pelvis": (
        "uterus ovary prostate bladder bowel hip sacrum pelvic_bone abdomen appendix peritoneum pregnancy femur "
        "pelvic_bone retroperitoneum ureter kidney"
    ),
    "uterus": "ovary pelvis pregnancy",
    "ovary": "uterus pelvis pregnancy",
    "pregnancy": "uterus ovary",
    "prostate": "bladder pelvis",
    "scrotum": "penis abdominal_wall",
    "penis": "scrotum bladder",
    "cervical spine": "spine neck cord",
    "thoracic spine": "spine chest cord",
    "lumbar spine": "spine sacrum cord",
    "spine": "cervical_spine thoracic_spine lumbar_spine sacrum cord",
    "cord": "spine cervical_spine thoracic_spine lumbar_spine",
    "sacrum": "lumbar_spine pelvis pelvic_bone spine hip",
    "shoulder": "humerus clavicle",
    "clavicle": "shoulder rib chest",
    "humerus": "shoulder elbow",
    "elbow": "forearm humerus",
    "forearm": "elbow wrist hand",
    "wrist": "forearm hand",
    "hand": "wrist forearm",
    "hip": "femur pelvic_bone pelvis",
    "femur": "hip knee deep_vein leg",
    "knee": "femur leg",
    "leg": "knee ankle deep_vein femur foot",
    "ankle": "foot leg",
    "foot": "ankle leg",
    "pelvic bone": "pelvis hip sacrum",
    "deep vein": "leg femur knee venous",
}
# Whole regions, as exams name them; a word here stands for all that is under it.
_REGIONS: dict[str, str] = {
    # Heads and necks that are of something else.
    "": (
        "femoral head, humeral head, radial head, long head, short head, head of, pancreatic head, fibular head, "
        "metatarsal head, metacarpal head, medial head, lateral head, femoral neck, neck of, scapular neck, "
        "gallbladder neck, bladder neck, surgical neck, talar neck, radial neck, aneurysm neck"
    ),
    "head": "head, neuro, cranial ct",
    "chest": "chest, thorax, intrathoracic, thoracic cavity, cxr, pa and lateral",
    "abdomen": "abdomen, abdominal, kub, abd",
    "pelvis": "pelvis, pelvic",
    "neck": "neck",
    "venous": "vein, venous, duplex",
    "arterial": "artery, arterial, angiogram, angiography, arteriogram",
    "body": "whole body, bone scan, pet, skeletal survey, bone survey, metastatic survey",
}
REGIONS = frozenset(filter(None, _REGIONS))
_WITHIN: dict[str, str] = {
    "head": "brain skull sinus ear orbit face pituitary",
    "chest": "lung pleura heart mediastinum aorta esophagus rib diaphragm thoracic_spine",
    "abdomen": (
        "liver gallbladder pancreas spleen kidney adrenal ureter stomach bowel appendix peritoneum retroperitoneum "
        "abdominal_wall aorta"
    ),
    "pelvis": "bladder bowel peritoneum pelvic_bone uterus ovary prostate hip sacrum",
    "neck": "neck thyroid carotid salivary cervical_spine",
}


@cache
def organs() -> Phrases[str]:
    """The table of organs; look words up without their plurals."""
    return Phrases(_ORGANS, stems=True)


@cache
def regions() -> Phrases[str]:
    """The table of regions; look words up without their plurals."""
    return Phrases(_REGIONS, stems=True)


@cache
def grounds(organ: str) -> frozenset[str]:
    """What in a report gives ground for an organ in the impression: itself, its neighbours, its region."""
    near = {name.replace("_", " ") for name in _NEAR.get(organ, "").split()}
    holders = {region for region, held in _WITHIN.items() if organ.replace(" ", "_") in held.split()}
    return frozenset({organ, "body", *near, *holders})
