"""How each class of leukocyte is drawn."""

from dataclasses import dataclass

Colour = tuple[float, float, float]
Range = tuple[float, float]


@dataclass(frozen=True)
class Morphology:
    """How one class of leukocyte is drawn. Ranges are drawn from evenly; colours are optical densities."""

    radius: tuple[float, float, float]  # of the cell in pixels: smallest, usual, largest
    lobes: tuple[int, ...]  # of the nucleus, drawn from
    lobe: Range  # radius of a lobe over that of the cell
    arc: Range  # distance of the lobes from the cell's centre over the cell's radius
    span: Range  # degrees from the first lobe to the last
    neck: Range  # thickness of what joins two lobes over theirs
    nucleus: Colour
    cytoplasm: Colour
    granule: Colour = (0.10, 0.16, 0.04)
    granules: Range = (0, 0)  # number on a square of 3.4 radii, of which the cell holds about a quarter
    granule_size: int = 3  # diameter in pixels
    granule_strength: Range = (0.5, 1.0)
    granules_on_nucleus: float = 0.0  # how much of them shows over the nucleus, 0 to 1
    clumps: float = 0.16  # contrast of the chromatin
    wobble: Range = (0.02, 0.07)  # how far smooth noise moves the contours, over the cell's radius
    vacuoles: Range = (0, 0)  # number of pale holes
    nucleoli: Range = (0, 0)  # number of paler spots of the nucleus


LEUKOCYTES = {
    "NEUTROPHIL": Morphology(
        radius=(66, 98, 122), lobes=(2, 3, 3, 4, 4, 4, 5), lobe=(0.25, 0.33), arc=(0.40, 0.52), span=(150, 300),
        neck=(0.15, 0.6), nucleus=(0.39, 0.71, -0.04), cytoplasm=(0.09, 0.20, 0.03),
        granule=(0.10, 0.22, 0.09), granules=(1500, 4000), granule_size=4, granule_strength=(0.1, 0.8),
    ),
    "EOSINOPHIL": Morphology(
        radius=(66, 96, 125), lobes=(2, 2, 2, 2, 3), lobe=(0.34, 0.44), arc=(0.42, 0.54), span=(100, 190),
        neck=(0.15, 0.6), nucleus=(0.37, 0.66, -0.03), cytoplasm=(0.07, 0.17, 0.05),
        granule=(0.11, 0.30, 0.17), granules=(1400, 2400), granule_size=6, granule_strength=(0.15, 1.2),
        granules_on_nucleus=0.2,
    ),
    "LYMPHOCYTE": Morphology(
        radius=(54, 66, 108), lobes=(1,), lobe=(0.72, 0.98), arc=(0.0, 0.12), span=(0, 0),
        neck=(1, 1), nucleus=(0.47, 0.70, 0.00), cytoplasm=(0.23, 0.24, 0.02), clumps=0.13, wobble=(0.02, 0.06),
    ),
    "MONOCYTE": Morphology(
        radius=(72, 108, 148), lobes=(5,), lobe=(0.36, 0.48), arc=(0.30, 0.46), span=(90, 200),
        neck=(0.85, 1.0), nucleus=(0.33, 0.59, -0.06), cytoplasm=(0.16, 0.19, 0.02),
        granules=(1000, 3000), granule_strength=(0.1, 0.4), clumps=0.13, wobble=(0.06, 0.12), vacuoles=(0, 18),
    ),
    "BASOPHIL": Morphology(
        radius=(74, 92, 112), lobes=(2, 3), lobe=(0.42, 0.54), arc=(0.28, 0.40), span=(90, 200),
        neck=(0.7, 1.0), nucleus=(0.30, 0.52, -0.04), cytoplasm=(0.12, 0.21, 0.04),
        granule=(0.36, 0.50, 0.03), granules=(700, 1500), granule_size=7, granule_strength=(0.6, 1.1),
        granules_on_nucleus=0.7, wobble=(0.03, 0.08),
    ),
    "BAND": Morphology(
        radius=(66, 96, 118), lobes=(8,), lobe=(0.19, 0.26), arc=(0.44, 0.56), span=(160, 270),
        neck=(0.8, 1.0), nucleus=(0.38, 0.69, -0.04), cytoplasm=(0.09, 0.20, 0.03),
        granule=(0.10, 0.22, 0.09), granules=(1500, 4000), granule_size=4, granule_strength=(0.1, 0.8),
    ),
    "METAMYELOCYTE": Morphology(
        radius=(72, 102, 124), lobes=(5,), lobe=(0.32, 0.42), arc=(0.38, 0.48), span=(90, 140),
        neck=(0.9, 1.0), nucleus=(0.36, 0.65, -0.04), cytoplasm=(0.10, 0.20, 0.03),
        granules=(2500, 4500), granule_strength=(0.3, 0.8),
    ),
    "MYELOCYTE": Morphology(
        radius=(74, 104, 128), lobes=(1, 2), lobe=(0.52, 0.66), arc=(0.22, 0.36), span=(20, 50),
        neck=(1, 1), nucleus=(0.35, 0.62, -0.03), cytoplasm=(0.14, 0.22, 0.03),
        granules=(3000, 5000), granule_strength=(0.4, 1.0), granules_on_nucleus=0.3,
    ),
    "BLAST": Morphology(
        radius=(76, 106, 134), lobes=(1,), lobe=(0.80, 0.90), arc=(0.0, 0.12), span=(0, 0),
        neck=(1, 1), nucleus=(0.34, 0.57, -0.04), cytoplasm=(0.30, 0.34, 0.00), clumps=0.06, nucleoli=(1, 5),
    ),
}  # fmt: skip
