"""White blood cells classified from blood-smear photographs."""

from wbc.base import start as start
