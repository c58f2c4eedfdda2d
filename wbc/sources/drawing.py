"""Draws one blood-smear photograph with OpenCV.

Stains absorb light as in Beer and Lambert's law: everything in a field adds its optical densities of red, green and
blue, which is why overlapping red cells darken, and the photograph is light * exp(-density). Densities, sizes and
light are medians measured on BCCD. Lengths are pixels of a 640 x 480 photograph; another size shows such a field at
another resolution.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import cv2
import numpy as np

from wbc.sources.morphologies import LEUKOCYTES, Morphology
from wbc.tools.voc import Box

Array = np.ndarray

LIGHT = (205.0, 206.5, 202.0)  # of the empty background, 0 to 255
HAEMOGLOBIN = (0.09, 0.27, 0.28)  # optical densities of red, green and blue
PLATELET = (0.40, 0.50, -0.02)
MARGIN = 190  # how far the field goes on beyond the frame, for cells cut by it and for shifted second photographs
TWIN_SHIFT = (20.0, 120.0)


@dataclass(frozen=True)
class Item:
    """Something to be drawn into a field, ready to be laid at (x, y): its centre in pixels of the field."""

    name: str  # as in the annotations
    density: Array  # (3, height, width) float32, optical densities of red, green and blue
    cover: Array  # (height, width) float32, 0 to 1: the item's shape
    radius: float  # in pixels
    opacity: float  # how much of what lies below is hidden, 0 to 1, instead of added to


def draw_smear(
    *, seed: int, number: int, classes: Sequence[str], width: int = 640, height: int = 480, take: int = 0
) -> tuple[Array, list[Box]]:
    """Draw the photograph ``number`` with one leukocyte for each of ``classes`` (keys of LEUKOCYTES).

    ``take`` 0 is the first photograph of the field; 1, 2, ... are later ones of the same field, shifted by
    TWIN_SHIFT, with their own light, focus and noise. Returns the image, (height, width, 3) uint8 RGB, and the boxes
    of what is visible, in the order of drawing. Raises KeyError for a class that cannot be drawn and ValueError
    when there is none.
    """
    if not classes:
        raise ValueError("a photograph needs at least one leukocyte: give its class")
    scale = min(width / 640, height / 480)
    frame = np.array([width, height]) / scale
    field, shot = np.random.default_rng([seed, number, 0]), np.random.default_rng([seed, number, 1, take])
    # Slides differ in the strength and hue of either stain.
    azure, eosin = (field.uniform(0.8, 1.2) * field.normal(1, 0.06, 3) for _ in range(2))
    cells = [_draw_leukocyte(field, LEUKOCYTES[name], azure=azure, eosin=eosin) for name in classes]
    centres = _place_leukocytes(field, cells, frame)
    shift = _draw_shift(shot, centres[0], frame) if take else np.zeros(2)
    density = _draw_dust(np.random.default_rng(seed), frame)
    boxes = []
    for item, centre in chain(
        _scatter_red_cells(field, frame=frame, shift=shift, cells=cells, centres=centres, eosin=eosin),
        _scatter_platelets(field, frame=frame, azure=azure),
        zip(cells, centres, strict=True),
    ):
        left, top = (centre + shift).round().astype(int) - item.cover.shape[0] // 2
        box = _lay(item, density, left, top)
        boxes += [box] if box else []
    image = _expose(shot, density, size=(width, height))
    return image, [_scaled(box, scale, width, height) for box in boxes]


def _noise(random: np.random.Generator, shape: tuple[int, int], grain: float) -> Array:
    """Smooth noise, float32 of ``shape`` = (height, width), of about unit variance; ``grain`` is its wavelength."""
    values = random.standard_normal([int(side / grain) + 3 for side in shape], dtype=np.float32)
    return cv2.resize(values, shape[::-1], interpolation=cv2.INTER_CUBIC)


def _stained(amount: Array, colour: Array) -> Array:
    """Return the densities, (3, height, width) float32, of ``amount`` of a stain; planes make NumPy fast."""
    return np.multiply.outer(np.float32(colour), amount.astype(np.float32))


def _distance(random: np.random.Generator, radius: float, *, stretch: float, wobble: float) -> Array:
    """Distance from the centre over the radius, on a square that ends at 1.35: a contour of 1 is a deformed ellipse."""
    half = int(1.35 * radius) + 1
    along = np.arange(-half, half, dtype=np.float32) / np.float32(radius)
    angle = random.uniform(0, np.pi)
    right, down = (along * np.float32(function(angle)) for function in (np.cos, np.sin))
    u, v = right + down[:, None], right[:, None] - down
    ellipse = cv2.magnitude(u * np.float32(stretch), v / np.float32(stretch))
    return ellipse + np.float32(wobble) * _noise(random, ellipse.shape, radius)


def _draw_leukocyte(random: np.random.Generator, form: Morphology, *, azure: Array, eosin: Array) -> Item:
    """Draw hard shapes, then bend their outlines by smooth noise and soften them. The nucleus is in the middle."""
    radius = random.triangular(*form.radius)
    half = int(1.7 * radius)
    shape = (2 * half, 2 * half)
    nucleus, centre = _draw_nucleus(random, form, radius, half=half)
    body = np.zeros(shape, np.uint8)
    axes = (radius * np.array([1, random.uniform(0.85, 1)])).astype(int).tolist()
    cv2.ellipse(body, centre, axes, random.uniform(0, 180), 0, 360, 255, -1)
    layers = cv2.merge([body, cv2.min(nucleus, body), *_draw_spots(random, form, radius, half=half)])
    bend = random.uniform(*form.wobble) * radius
    map_x, map_y = (
        along + bend * (_noise(random, shape, 0.8 * radius) + 0.3 * _noise(random, shape, 0.25 * radius))
        for along in np.meshgrid(*[np.arange(2 * half, dtype=np.float32)] * 2)
    )
    layers = cv2.remap(layers, map_x.astype(np.float32), map_y.astype(np.float32), cv2.INTER_LINEAR)
    layers = cv2.GaussianBlur(layers, (0, 0), random.uniform(1.2, 2.0)).astype(np.float32) / 255
    cover, core, granules, pale = cv2.split(layers)
    chromatin = 1 + form.clumps * (0.8 * _noise(random, shape, 5) + _noise(random, shape, 18))
    mottled = 1 + 0.12 * _noise(random, shape, 7)
    granules *= cover * (1 - core * (1 - form.granules_on_nucleus)) * random.uniform(*form.granule_strength)
    density = _stained(cover * (1 - core) * mottled, azure * form.cytoplasm * random.normal(1, 0.15, 3))
    density += _stained(granules, eosin * form.granule)
    density += _stained(core * chromatin, azure * form.nucleus * random.normal(1, 0.08, 3))
    return Item("WBC", density * (1 - 0.7 * pale), cover, radius=radius, opacity=1.0)


def _draw_nucleus(
    random: np.random.Generator, form: Morphology, radius: float, *, half: int
) -> tuple[Array, tuple[int, int]]:
    """Return the mask of a chain of lobes round the cell's centre, the lobes' mean in its middle, and that centre."""
    mask = np.zeros((2 * half, 2 * half), np.uint8)
    count = int(random.choice(form.lobes))
    angles = np.radians(random.uniform(0, 360) + random.uniform(*form.span) * np.linspace(0, 1, count))
    angles += random.normal(0, 0.4 / count, count)
    distances = radius * random.uniform(*form.arc) * random.normal(1, 0.25 / count, count)
    lobes = distances[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    middle = lobes.mean(axis=0)
    points = [(round(x), round(y)) for x, y in half + lobes - middle]
    sizes = radius * random.uniform(*form.lobe) * random.uniform(0.85, 1.15, count)
    for point, size, angle in zip(points, sizes, angles, strict=True):
        axes = (size * random.uniform((0.85, 1.0), (1.0, 1.2))).astype(int).tolist()
        cv2.ellipse(mask, point, axes, np.degrees(angle), 0, 360, 255, -1)
    for index, (start, end) in enumerate(pairwise(points)):
        thickness = max(3, int(2 * random.uniform(*form.neck) * sizes[index : index + 2].min()))
        cv2.line(mask, start, end, 255, thickness)
    return mask, (round(half - middle[0]), round(half - middle[1]))


def _draw_spots(random: np.random.Generator, form: Morphology, radius: float, *, half: int) -> tuple[Array, Array]:
    """Return the masks of the granules and of what is paler: vacuoles and nucleoli."""
    dots, pale = (np.zeros((2 * half, 2 * half), np.uint8) for _ in range(2))
    rows, columns = random.integers(0, 2 * half, (2, int(random.uniform(*form.granules))))
    dots[rows, columns] = random.integers(100, 256, len(rows))
    granules = cv2.dilate(dots, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (form.granule_size,) * 2))
    for number, value, spread, size in (
        (form.vacuoles, 220, 0.9, (0.03, 0.09)),
        (form.nucleoli, 120, 0.5, (0.09, 0.15)),
    ):
        for _ in range(int(random.uniform(*number))):
            x, y = half + radius * random.uniform(-spread, spread, 2)
            cv2.circle(pale, (int(x), int(y)), int(radius * random.uniform(*size)), value, -1)
    return granules, pale


def _draw_red_cell(
    random: np.random.Generator, radius: float, *, pallor: float, refractile: bool, colour: Array
) -> Item:
    """Draw a disc paler in its middle; a ``refractile`` one has a bright bubble, as drying leaves it."""
    distance = _distance(random, radius, stretch=random.uniform(0.8, 1), wobble=random.uniform(0.01, 0.05))
    pallor, width = np.clip(random.normal(pallor, 0.2), 0.05, 0.95), random.uniform(0.35, 0.7)
    at = np.linspace(0, 2.55, 256)
    profile = 1 - pallor * np.exp(-((at / width) ** 3)) + 0.15 * np.exp(-(((at - 0.9) / 0.09) ** 2))
    # Light bent at the edge leaves a bright line round the cell.
    profile = profile / (1 + np.exp((at - 1) / 0.03)) - 0.12 * np.exp(-(((at - 1.09) / 0.05) ** 2))
    profile *= random.uniform(0.75, 1.15)
    amount = cv2.LUT(cv2.convertScaleAbs(distance, alpha=100), profile.astype(np.float32))
    if refractile:
        half = amount.shape[0] // 2
        y, x = np.ogrid[-half:half, -half:half]
        (right, down), size = random.uniform(-0.35, 0.35, 2) * radius, random.uniform(5, 10)
        ring = np.hypot(x - right, (y - down) * random.uniform(0.6, 1.6)) / size
        amount += 1.2 * np.exp(-(((ring - 1) / 0.3) ** 2)) - 1.7 * np.exp(-2 * ring**2)
    return Item("RBC", _stained(amount, colour), (distance < 1).astype(np.float32), radius=radius, opacity=0.5)


def _draw_platelet(random: np.random.Generator, *, colour: Array) -> Item:
    radius = random.uniform(9, 19)
    distance = _distance(random, radius, stretch=random.uniform(0.8, 1), wobble=0.06)
    amount = random.uniform(0.35, 0.8) / (1 + np.exp((distance - 0.8) / 0.12))
    amount *= 1 + 0.2 * _noise(random, distance.shape, 4)
    cover = (distance < 1).astype(np.float32)
    return Item("Platelets", _stained(amount, colour), cover, radius=radius, opacity=0.0)


def _draw_dust(random: np.random.Generator, frame: Array) -> Array:
    """Return the empty field's density, (3, height, width): specks in the optics, at the same place in every photo."""
    width, height = frame.round().astype(int)
    dust = np.zeros((int(height), int(width)), np.float32)
    for _ in range(9):
        point = (random.uniform(size=2) * frame).astype(int).tolist()
        cv2.circle(dust, point, int(random.integers(2, 7)), random.uniform(0.05, 0.25), int(random.choice([-1, 2])))
    return np.stack([cv2.blur(dust, (3, 3))] * 3)


def _place_leukocytes(random: np.random.Generator, cells: Sequence[Item], frame: Array) -> list[Array]:
    """Return the nuclei's centres, (x, y): often near the middle, always in the frame, apart from each other."""
    centres: list[Array] = []
    for index, cell in enumerate(cells):
        candidates = frame * random.beta(2.2, 2.2, (200, 2))
        free = np.ones(len(candidates), bool)
        for other, centre in zip(cells[:index], centres, strict=True):
            free &= np.hypot(*(candidates - centre).T) > 1.1 * (cell.radius + other.radius)
        centres.append(candidates[free.argmax()])
    return centres


def _scatter_red_cells(
    random: np.random.Generator,
    *,
    frame: Array,
    shift: Array,
    cells: Sequence[Item],
    centres: Sequence[Array],
    eosin: Array,
) -> Iterator[tuple[Item, Array]]:
    """Yield red cells in clumps and alone, few of them under leukocytes; what lies off the frame is not drawn."""
    area = frame + 2 * MARGIN
    usual, pallor, clumping = random.uniform(49, 57), random.uniform(0.3, 0.85), random.uniform(0.3, 0.75)
    refractile = random.uniform() < 0.25
    colour = eosin * HAEMOGLOBIN
    laid, reach = list(centres), np.array([cell.radius for cell in cells])
    for child in random.spawn(int(area.prod() / random.uniform(9_000, 17_000))):
        radius = usual * child.uniform(0.8, 1.15)
        place = child.uniform(-MARGIN, frame + MARGIN)
        if child.uniform() < clumping:
            angle = child.uniform(0, 2 * np.pi)
            step = child.uniform(1.3, 2) * radius * np.array([np.cos(angle), np.sin(angle)])
            place = laid[child.integers(len(laid))] + step
        apart = np.hypot(*(np.array(laid) - place).T)
        if (apart[: len(reach)] < reach + 0.5 * radius).any() or (apart < 1.5 * radius).sum() > 1:
            continue
        laid.append(place)
        if (np.abs(place + shift - frame / 2) < frame / 2 + 1.4 * radius).all():
            spotted = refractile and child.uniform() < 0.6
            yield _draw_red_cell(child, radius, pallor=pallor, refractile=spotted, colour=colour), place


def _scatter_platelets(random: np.random.Generator, *, frame: Array, azure: Array) -> Iterator[tuple[Item, Array]]:
    for _ in range(random.poisson(4)):
        yield _draw_platelet(random, colour=azure * PLATELET), random.uniform(-MARGIN, frame + MARGIN)


def _draw_shift(random: np.random.Generator, centre: Array, frame: Array) -> Array:
    """Return (x, y), the pixels to move the field by, towards the middle, so that the leukocyte stays in it."""
    angle = random.uniform(0, np.pi / 2)
    length = random.uniform(*TWIN_SHIFT)
    return length * np.array([np.cos(angle), np.sin(angle)]) * np.where(centre < frame / 2, 1, -1)


def _lay(item: Item, density: Array, left: int, top: int) -> Box | None:
    """Lay ``item`` into ``density``, in place; return the box of its visible part.

    A red cell or platelet of which less than a third is visible has no box.
    """
    (height, width), (bottom, right) = item.cover.shape, density.shape[1:]
    rows, columns = slice(max(0, -top), max(0, bottom - top)), slice(max(0, -left), max(0, right - left))
    below = density[:, max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
    cover = item.cover[rows, columns]
    if item.opacity:
        below *= 1 - np.float32(item.opacity) * cover
    below += item.density[:, rows, columns]
    shown = (cover > 0.5).astype(np.uint8)
    if item.name != "WBC" and 3 * cv2.countNonZero(shown) < (item.cover > 0.5).sum():
        return None
    x, y, box_width, box_height = cv2.boundingRect(shown)
    x, y = x + max(0, left), y + max(0, top)
    return Box(item.name, x, y, x + box_width, y + box_height)


def _scaled(box: Box, scale: float, width: int, height: int) -> Box:
    right, bottom = min(width, round(box.right * scale)), min(height, round(box.bottom * scale))
    return Box(box.name, round(box.left * scale), round(box.top * scale), right, bottom)


def _expose(random: np.random.Generator, density: Array, *, size: tuple[int, int]) -> Array:
    """Photograph the (3, height, width) field: uneven light, focus, noise of the sensor. Returns uint8 RGB."""
    height, width = density.shape[1:]
    light = _stained(1 + 0.015 * _noise(random, (height, width), width / 2), random.normal(1, 0.008, 3) * LIGHT)
    planes = light * np.exp(-density)
    # The lens focuses blue elsewhere: edges get a purple rim and a yellow line outside, as in BCCD.
    planes[2] = cv2.GaussianBlur(planes[2], (0, 0), random.uniform(2.2, 3.8))
    image = cv2.GaussianBlur(cv2.merge(list(planes)), (0, 0), random.uniform(0.8, 1.8))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if size[0] < width else cv2.INTER_CUBIC)
    image += 2 * _noise(random, size[::-1], 1.5)[..., None]
    return image.clip(0, 255, out=image).astype(np.uint8)
