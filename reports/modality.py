"""The modality of an examination from its name, or from whatever else is said of it.

Names as hospitals, LOINC ("XR Chest 2 Views", LOINC's long names of radiology, with the LOINC/RSNA playbook's
modality first) and RadLex write them. Of several modalities in one name the most specific counts: a PET/CT is PT, a
CT angiogram CT, an echocardiogram US. Radiographs that are named by words are CR, as in Open-i and MTSamples; by a
code that is XR's, XR. What no rule knows is UNSPECIFIED, and nothing is guessed from a body region.
"""

from __future__ import annotations

import re

from radimpress.reports.errors import ModalityError
from radimpress.reports.report import Modality, parse_modality

# From the most specific on: the first that is found counts.
_RULES: tuple[tuple[Modality, str], ...] = (
    (Modality.PT, r"pet|pet[ /-]?ct|positron emission|fdg"),
    (
        Modality.NM,
        r"nuclear|scintigra\w+|spect|myoview|sestamibi|cardiolite|thallium|thallous|technetium|tc-?99m?|tetrofosmin|hida"
        r"|persantine|dipyridamole|gastric emptying|mag-?3|renogram|octreotide|(?:thyroid|iodine) uptake"
        r"|uptake and scan|bone scan|(?:v/?q|ventilation[ -]perfusion|perfusion|thyroid|gallium|indium|muga|renal|lung)"
        r" scan|myocardial perfusion|ventilation ?/ ?perfusion|radionuclide|lexiscan|adenosine stress|radioiodine|mibg"
        r"|lymphoscint\w+",
    ),
    (Modality.MG, r"^mg|mammogra\w+|mammo|tomosynthesis|galactogra\w+|bi-?rads"),
    # Short codes that are words too, in capitals or where a name begins.
    (
        Modality.MR,
        r"mri|mra|mrv|mrcp|^mr(?! ?\.)|(?-i:MR)|magnetic resonance|fmri|gadolinium"
        # Sequences, as "echo" alone is ultrasound.
        r"|flair|(?:turbo|spin|gradient)[ -]echo(?:es)?"
        r"|gradient[ -]recalled[ -]echo|echo[ -]planar|t[12][ -]?(?:weighted|sequences|images)|diffusion[ -]weighted",
    ),
    (Modality.CT, r"ct|cta|ctv|cat scan|comput\w+ tomogra\w+|computerized axial|hrct|ccta|ct-?guided"),
    (
        Modality.US,
        r"ultra ?sound|ultrasonogra\w+|sonogra\w+|sonogram|echo|echocardiogra\w+|doppler|duplex|ivus|^us|(?-i:US)|u/s"
        r"|sono|transvaginal|tee|tte|biophysical|dobutrex",
    ),
    (
        Modality.OTHER,
        r"angiogra\w+|arteriogra\w+|venogra\w+|catheteri[sz]ation|dexa|dxa|bone densit\w+|xa|discogra\w+|fistulogra\w+",
    ),
    (
        Modality.RF,
        r"fluoro\w*|barium|esophagra\w+|swallow|upper gi|ugi|enema|cystogra\w+|(?:cysto)?urethrogra\w+"
        r"|cholangiogra\w+|ercp|vcug|myelogra\w+|arthrogra\w+|hysterosalpingogra\w+|hsg|small bowel follow|gastrografin"
        r"|modified barium",
    ),
    (Modality.XR, r"^xr|^dx|^dr"),
    (
        Modality.CR,
        r"x-?rays?|radiogra\w+|roentgenogra\w+|cxr|plain films?|kub|^cr|(?-i:CR)|intravenous pyelogra\w+|ivp"
        r"|(?:ap|pa|lateral|oblique|frontal)(?: (?:and|&) \w+)?(?: views?| abdomen| chest)"
        r"|(?:ap|pa) (?:and|&|/) lateral|portable chest|flexion[ /-](?:(?:and|&) )?extension|\d+ ?v|views? of the"
        r"|(?:\d+|one|two|three|four|five|six|single|multiple)[ -](?:views?|images|projections)|scanogram"
        r"|(?:skeletal|bone) survey|bone age|series|airway study|magnified airway",
    ),
)
_COMPILED = tuple((modality, re.compile(rf"(?<![a-z])(?:{rule})(?![a-z])", re.IGNORECASE)) for modality, rule in _RULES)


def guess_modality(*said: str) -> Modality:
    """The modality that the first text names that names one; UNSPECIFIED where none does.

    Args:
        said: from the most to the least telling, as in a code, an examination's name, a title.
    """
    for text in said:
        try:
            found = parse_modality(text)
        except ModalityError:
            found = next((modality for modality, rule in _COMPILED if rule.search(text)), Modality.UNSPECIFIED)
        if found is not Modality.UNSPECIFIED:
            return found
    return Modality.UNSPECIFIED
